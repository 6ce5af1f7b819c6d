"""What stands in the outline and in the list: the user's words, not the client's."""

import pytest

from traces.ingest.titles import first_line, said

INJECTED = [
    "<environment_context>\n  <cwd>/home/user</cwd>\n</environment_context>",
    "<user_instructions>\nBe brief.\n</user_instructions>",
    "# AGENTS.md instructions for /home/user/project\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
    "# AGENTS.md instructions\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
    "<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>",
    '<subagent_notification>\n{"agent_path": "/root/x"}\n</subagent_notification>',
    "<skill>\n<name>deploy</name>\n</skill>",
    "<recommended_plugins>\n- a (b)\n</recommended_plugins>",
    "<user_shell_command>\n<command>ls</command>\n</user_shell_command>",
    '<hook_prompt hook_run_id="1">again</hook_prompt>',
    "<external_editor>open file: a.py</external_editor>",
    "[client context 804aa6a0]",
    "Another language model started to solve this problem and produced a summary of its thinking process.",
    "  \n ",
]
TYPED = [
    "fix the test",
    "<div> is not closed in index.html, why?",
    "[client context] is what I want to know about",
    "What do the AGENTS.md instructions say?",
    "Warning: this will be long",
]


@pytest.mark.parametrize("text", INJECTED)
def test_what_the_client_says_in_the_users_name_is_no_title(text: str) -> None:
    assert said([text, "the real question"]) == "the real question"


@pytest.mark.parametrize("text", TYPED)
def test_what_a_user_typed_is_a_title(text: str) -> None:
    assert said([text, "the next message"]) == text


def test_a_title_is_one_line() -> None:
    assert first_line("\n\n  Find out why  \nand fix it") == "Find out why"
    assert first_line("x" * 500) == "x" * 199 + "…"
    assert first_line("") == ""
