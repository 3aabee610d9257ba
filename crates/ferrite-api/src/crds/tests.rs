use super::*;

/// As `cargo xtask gen --check`, so that a stale file is found by `cargo test` too.
#[test]
fn committed_files_are_those_of_the_types() {
    let generated = generate().unwrap();
    let texts: Vec<&str> = generated.iter().map(|file| file.text.as_str()).collect();
    assert_eq!(texts.len(), ALL.len(), "one entry of ALL for each definition");
    for (file, committed) in generated.iter().zip(ALL) {
        assert!(file.text == *committed, "{} is stale: run `cargo xtask gen`", file.file);
    }
}

#[test]
fn every_text_reads_back_as_one_definition() {
    for text in ALL {
        let value = parse(text).unwrap();
        assert_eq!(value["kind"], "CustomResourceDefinition");
    }
    assert!(parse("").is_err());
}
