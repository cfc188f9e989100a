use super::*;

#[test]
fn the_commands_and_the_prompts_make_one_parser() {
    command().debug_assert();
}
