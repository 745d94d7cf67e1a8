package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// unknown is how a table writes an unknown value: {"?":{}}, and in it what is known all the same.
type unknown struct {
	NotNull   bool              `json:"not_null"`
	Prefix    string            `json:"prefix"`
	Min       []json.RawMessage `json:"min"`
	Max       []json.RawMessage `json:"max"`
	LengthMin *int              `json:"length_min"`
	LengthMax *int              `json:"length_max"`
}

// ctyValue reads a value as a table writes it: JSON by type, and unknown values among it.
func ctyValue(written []byte, ty cty.Type) (cty.Value, error) {
	written = bytes.TrimSpace(written)
	var object map[string]json.RawMessage
	var array []json.RawMessage
	_ = json.Unmarshal(written, &object)
	_ = json.Unmarshal(written, &array)
	if body, ok := object["?"]; ok {
		return refined(body, ty)
	}
	if string(written) == "null" {
		return cty.NullVal(ty), nil
	}
	switch {
	case ty == cty.DynamicPseudoType:
		of, err := ctyjson.UnmarshalType(object["type"])
		if err != nil {
			return cty.NilVal, err
		}
		return ctyValue(object["value"], of)
	case ty == cty.Number:
		var digits json.Number
		if err := json.Unmarshal(written, &digits); err != nil {
			return cty.NilVal, err
		}
		return cty.ParseNumberVal(string(digits))
	case ty.IsPrimitiveType():
		return ctyjson.Unmarshal(written, ty)
	case ty.IsTupleType():
		values := make([]cty.Value, len(array))
		for index, element := range array {
			var err error
			if values[index], err = ctyValue(element, ty.TupleElementType(index)); err != nil {
				return cty.NilVal, err
			}
		}
		return cty.TupleVal(values), nil
	case ty.IsObjectType():
		values := map[string]cty.Value{}
		for name, of := range ty.AttributeTypes() {
			var err error
			if values[name], err = ctyValue(object[name], of); err != nil {
				return cty.NilVal, err
			}
		}
		return cty.ObjectVal(values), nil
	case ty.IsMapType():
		if len(object) == 0 {
			return cty.MapValEmpty(ty.ElementType()), nil
		}
		values := map[string]cty.Value{}
		for key, element := range object {
			var err error
			if values[key], err = ctyValue(element, ty.ElementType()); err != nil {
				return cty.NilVal, err
			}
		}
		return cty.MapVal(values), nil
	case ty.IsListType(), ty.IsSetType():
		values := make([]cty.Value, len(array))
		for index, element := range array {
			var err error
			if values[index], err = ctyValue(element, ty.ElementType()); err != nil {
				return cty.NilVal, err
			}
		}
		switch {
		case len(values) == 0 && ty.IsListType():
			return cty.ListValEmpty(ty.ElementType()), nil
		case len(values) == 0:
			return cty.SetValEmpty(ty.ElementType()), nil
		case ty.IsListType():
			return cty.ListVal(values), nil
		}
		return cty.SetVal(values), nil
	}
	return cty.NilVal, fmt.Errorf("no notation for %#v", ty)
}

func refined(body []byte, ty cty.Type) (cty.Value, error) {
	var known unknown
	if err := json.Unmarshal(body, &known); err != nil {
		return cty.NilVal, err
	}
	if string(bytes.TrimSpace(body)) == "{}" {
		return cty.UnknownVal(ty), nil
	}
	builder := cty.UnknownVal(ty).Refine()
	if known.NotNull {
		builder = builder.NotNull()
	}
	if known.Prefix != "" {
		builder = builder.StringPrefixFull(known.Prefix)
	}
	if number, inclusive, ok := bound(known.Min); ok {
		builder = builder.NumberRangeLowerBound(number, inclusive)
	}
	if number, inclusive, ok := bound(known.Max); ok {
		builder = builder.NumberRangeUpperBound(number, inclusive)
	}
	if known.LengthMin != nil {
		builder = builder.CollectionLengthLowerBound(*known.LengthMin)
	}
	if known.LengthMax != nil {
		builder = builder.CollectionLengthUpperBound(*known.LengthMax)
	}
	return builder.NewValue(), nil
}

func bound(pair []json.RawMessage) (cty.Value, bool, bool) {
	if len(pair) != 2 {
		return cty.NilVal, false, false
	}
	number, err := cty.ParseNumberVal(string(pair[0]))
	return number, string(pair[1]) == "true", err == nil
}
