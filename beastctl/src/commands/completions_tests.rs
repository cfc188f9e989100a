use super::*;

#[test]
fn the_commands_and_the_prompts_make_one_parser() {
    command().debug_assert();
}

#[test]
fn bash_gets_names_that_stay_one_word() {
    assert_eq!(quoted_for_bash("two words\nit's"), "two\\ words\nit\\'s");
    assert_eq!(quoted_for_bash("~/a-b_c.gguf\n--x=y"), "~/a-b_c.gguf\n--x=y");
    assert_eq!(quoted_for_bash("a$(b)\nü"), "a\\$\\(b\\)\nü");
}
