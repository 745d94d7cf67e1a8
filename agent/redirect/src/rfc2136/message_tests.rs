use super::*;

fn names() -> Names {
    Names {
        zone: "example.org".parse().unwrap(),
        record: "app.example.org".parse().unwrap(),
        mark: "_hanse.app.example.org".parse().unwrap(),
    }
}

fn set(values: &[&str]) -> Option<RecordSet> {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Some(RecordSet { ttl_s: 30, values })
}

/// A section as type, class and data.
fn section(bytes: &[u8], number: usize) -> Vec<(u16, u16, Vec<u8>)> {
    let message = Message::parse(bytes).unwrap();
    let records = message.sections[number].iter();
    records.map(|r| (r.kind, r.class, r.data.clone())).collect()
}

#[test]
fn an_update_rests_on_the_mark_as_it_was_read() {
    let before = |mark| Sight {
        mark,
        v4: None,
        v6: set(&["2001:db8::1"]),
    };
    let change = |mark| Change {
        before: before(mark),
        mark: "epoch=9".to_owned(),
        to: "192.0.2.9".parse().unwrap(),
        ttl_s: 20,
    };
    let no_alias = (kind::CNAME, class::NONE, Vec::new());
    let bytes = update(1, &names(), &change(set(&["epoch=7"])));
    let mark = (kind::TXT, class::IN, b"\x07epoch=7".to_vec());
    assert_eq!(
        section(&bytes, 0),
        [mark, no_alias.clone(), no_alias.clone()]
    );
    let bytes = update(1, &names(), &change(None));
    let mark = (kind::TXT, class::NONE, Vec::new());
    assert_eq!(section(&bytes, 0), [mark, no_alias.clone(), no_alias]);
    let expected = [
        (kind::A, class::ANY, Vec::new()),
        (kind::AAAA, class::ANY, Vec::new()),
        (kind::A, class::IN, vec![192, 0, 2, 9]),
        (kind::TXT, class::ANY, Vec::new()),
        (kind::TXT, class::IN, b"\x07epoch=9".to_vec()),
    ];
    assert_eq!(section(&bytes, 1), expected);
}

#[test]
fn a_probe_puts_back_what_is_there_and_removes_what_is_not() {
    let sight = Sight {
        mark: set(&["epoch=7"]),
        v4: set(&["192.0.2.1", "192.0.2.2"]),
        v6: None,
    };
    let expected = [
        (kind::A, class::IN, vec![192, 0, 2, 1]),
        (kind::A, class::IN, vec![192, 0, 2, 2]),
        (kind::AAAA, class::ANY, Vec::new()),
        (kind::TXT, class::IN, b"\x07epoch=7".to_vec()),
    ];
    assert_eq!(section(&probe(1, &names(), &sight), 1), expected);
}

#[test]
fn an_answer_counts_only_from_who_has_authority() {
    let name = names().record;
    let answer = |flags: u16, kind: u16, data: &[u8]| {
        let mut builder = Builder::new(1, Opcode::Query);
        builder.record(1, &name.wire(), (kind, class::IN, 30), data);
        let mut bytes = builder.bytes();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        answered(&name, kind::A, &Message::parse(&bytes).unwrap())
    };
    let found = answer(0x8400, kind::A, &[192, 0, 2, 1]);
    assert_eq!(found, Ok(Ok(set(&["192.0.2.1"]))));
    assert_eq!(answer(0x8400, kind::TXT, b"\x01a"), Ok(Ok(None)));
    assert_eq!(answer(0x8403, kind::SOA, b""), Ok(Ok(None)));
    assert_eq!(
        answer(0x8400, kind::CNAME, b"\x00"),
        Ok(Err("a CNAME record"))
    );
    assert_eq!(answer(0x8402, kind::A, b""), Err(DnsProblem::ServerFailed));
    for (flags, code) in [
        (0x8000, "NOERROR"),
        (0x8003, "NXDOMAIN"),
        (0x8405, "REFUSED"),
    ] {
        let lame = DnsProblem::Lame {
            name: name.to_string(),
            code,
        };
        assert_eq!(answer(flags, kind::A, &[192, 0, 2, 1]), Err(lame));
    }
}

#[test]
fn each_response_code_of_an_update_has_its_sentence() {
    let said = |code: u16| {
        let mut bytes = Builder::new(1, Opcode::Update).bytes();
        bytes[3] = u8::try_from(code).unwrap();
        match updated(&names(), &Message::parse(&bytes).unwrap()) {
            Ok(updated) => format!("{updated:?}"),
            Err(problem) => problem.to_string(),
        }
    };
    let table = [
        (0, "Done"),
        (1, "FORMERR"),
        (2, "SERVFAIL: it failed"),
        (3, "Raced(\"NXDOMAIN\")"),
        (4, "NOTIMP: it takes no dynamic updates"),
        (5, "REFUSED: Permit the key"),
        (6, "Raced(\"YXDOMAIN\")"),
        (7, "Raced(\"YXRRSET\")"),
        (8, "Raced(\"NXRRSET\")"),
        (9, "NOTAUTH: it is not the primary"),
        (10, "NOTZONE"),
        (15, "an unknown response code"),
    ];
    for (code, part) in table {
        assert!(said(code).contains(part), "{code}: {}", said(code));
    }
}

#[test]
fn several_strings_are_never_taken_for_one() {
    assert_eq!(strings(b"\x07epoch=7"), "epoch=7");
    for data in [
        &b"\x05epoch\x02=7"[..],
        b"",
        b"\x08epoch=7",
        b"\x02\xff\xfe",
    ] {
        assert_ne!(strings(data), "epoch=7");
    }
}
