use super::*;

#[test]
fn a_shortened_vector_has_length_1_again() {
    let mut vector = vec![3.0, 4.0, 12.0];
    shorten(&mut vector, 2);
    assert_eq!(vector, [0.6, 0.8]);
    shorten(&mut vector, 5);
    assert_eq!(vector.len(), 2);
    let mut zero = vec![0.0, 0.0];
    shorten(&mut zero, 1);
    assert_eq!(zero, [0.0]);
}
