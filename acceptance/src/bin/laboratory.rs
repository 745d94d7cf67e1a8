//! x
fn main() {
    let l = hanse_acceptance::Laboratory::start(2).unwrap();
    std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("{}\n", l.folder().display()).as_bytes(),
    )
    .unwrap();
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0; 9]);
}
