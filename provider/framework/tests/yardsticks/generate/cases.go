package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"github.com/zclconf/go-cty/cty/msgpack"
)

// value: library, name, type, value, bytes, verdict.
func value(row []string) (string, error) {
	library, of, written := row[0], row[2], row[3]
	ty, err := ctyjson.UnmarshalType([]byte(of))
	if err != nil {
		return "", err
	}
	v, err := ctyValue([]byte(written), ty)
	if err != nil {
		return "", err
	}
	encoded, err := msgpack.Marshal(v, ty)
	if err != nil {
		return "", err
	}
	decoded, err := msgpack.Unmarshal(encoded, ty)
	if err != nil {
		return "", err
	}
	if library == "go-cty" && !decoded.RawEquals(v) && !strings.HasPrefix(row[5], "encodes:") {
		return "", fmt.Errorf("%#v comes back as %#v", v, decoded)
	}
	switch library {
	case "go-cty":
		return hex.EncodeToString(encoded), nil
	case "tftypes":
		tfType, err := tftypes.ParseJSONType([]byte(of)) //nolint:staticcheck
		if err != nil {
			return "", err
		}
		tfValue, err := tftypes.ValueFromMsgPack(encoded, tfType) //nolint:staticcheck
		if err != nil {
			return "", err
		}
		encoded, err = tfValue.MarshalMsgPack(tfType) //nolint:staticcheck
		return hex.EncodeToString(encoded), err
	}
	return "", fmt.Errorf("no library %q", library)
}

// malformed: library, name, type, input, what comes of it, verdict.
func malformed(row []string) (string, error) {
	input, err := hex.DecodeString(row[3])
	if err != nil {
		return "", err
	}
	return fromMsgpack(row[0], row[2], input)
}

func fromMsgpack(library, of string, input []byte) (string, error) {
	if library == "tftypes" {
		ty, err := tftypes.ParseJSONType([]byte(of)) //nolint:staticcheck
		if err != nil {
			return "", err
		}
		v, err := tftypes.ValueFromMsgPack(input, ty) //nolint:staticcheck
		if err != nil {
			return "error", nil
		}
		encoded, err := v.MarshalMsgPack(ty) //nolint:staticcheck
		return hex.EncodeToString(encoded), err
	}
	ty, err := ctyjson.UnmarshalType([]byte(of))
	if err != nil {
		return "", err
	}
	v, err := msgpack.Unmarshal(input, ty)
	if err != nil {
		return "error", nil
	}
	encoded, err := msgpack.Marshal(v, ty)
	if err != nil {
		return "unwritable", nil
	}
	return hex.EncodeToString(encoded), nil
}

// fromJSON: library, name, type, input, the value as msgpack, verdict.
func fromJSON(row []string) (string, error) {
	library, of, input := row[0], row[2], row[3]
	switch library {
	case "go-cty":
		ty, err := ctyjson.UnmarshalType([]byte(of))
		if err != nil {
			return "", err
		}
		v, err := ctyjson.Unmarshal([]byte(input), ty)
		if err != nil {
			return "error", nil
		}
		encoded, err := msgpack.Marshal(v, ty)
		return hex.EncodeToString(encoded), err
	case "tftypes", "tftypes-ignore":
		ty, err := tftypes.ParseJSONType([]byte(of)) //nolint:staticcheck
		if err != nil {
			return "", err
		}
		options := tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: library == "tftypes-ignore"}
		v, err := tftypes.ValueFromJSONWithOpts([]byte(input), ty, options)
		if err != nil {
			return "error", nil
		}
		encoded, err := v.MarshalMsgPack(ty) //nolint:staticcheck
		if err != nil {
			return "", err
		}
		// tftypes keeps sets as they come and writes maps in any order; go-cty sorts both.
		return fromMsgpack("go-cty", of, encoded)
	}
	return "", fmt.Errorf("no library %q", library)
}

// typeJSON: library, name, input, the type written again, verdict.
func typeJSON(row []string) (string, error) {
	input := []byte(row[2])
	if row[0] == "tftypes" {
		ty, err := tftypes.ParseJSONType(input) //nolint:staticcheck
		if err != nil {
			return "error", nil
		}
		written, err := ty.MarshalJSON()
		return string(written), err
	}
	var ty cty.Type
	ty, err := ctyjson.UnmarshalType(input)
	if err != nil {
		return "error", nil
	}
	written, err := ctyjson.MarshalType(ty)
	return string(written), err
}
