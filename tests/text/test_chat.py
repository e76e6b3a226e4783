"""Chat templates against transformers' apply_chat_template."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer

TALK = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "Hi <b>\n"},
    {"role": "assistant", "content": "Hello é"},
    {"role": "user", "content": "Bye"},
]
TOOLS = [{"type": "function", "function": {"name": "wetter", "description": "Grüße <x> & 'y'", "parameters": {}}}]

HEADERS = """{{- bos_token }}
{%- for message in messages %}
    {{- '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}"""

INSTRUCT = """{{ bos_token }}{% for message in messages %}
{% if message['role'] == 'system' %}{% continue %}{% endif %}
{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]{% else %}
 {% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}
{% endif %}
{% endfor %}"""

TOOLED = """{% if tools is not none %}
    <tools>{{ tools | tojson }}|{{ tools | tojson(indent=2) }}</tools>
{% endif %}
{% set ns = namespace(count=0) %}
{% for message in messages %}
  {% set ns.count = ns.count + 1 %}
{{ ns.count }}:{{ message.content }}{% if loop.last %}!{% break %}{% endif %}
{% endfor %}
{{ strftime_now('%Y') }} {{ mood if mood is defined else 'plain' }}"""

TEMPLATES = {"headers": HEADERS, "instruct": INSTRUCT, "tooled": TOOLED}


@pytest.fixture
def folder(stories: Path, tmp_path: Path) -> Path:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((stories / name).read_bytes())
    return tmp_path


def set_template(folder: Path, template: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("variables", [{}, {"tools": TOOLS, "mood": "gay"}], ids=["plain", "tools"])
def test_like_transformers(folder: Path, name: str, prompt: bool, variables: dict[str, Any]) -> None:
    set_template(folder, TEMPLATES[name])
    expected = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        TALK, tokenize=False, add_generation_prompt=prompt, **variables
    )
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.render_chat(TALK, prompt, **variables) == expected
    assert tokenizer.chat_template == TEMPLATES[name]


@pytest.mark.parametrize("thinking", [{}, {"enable_thinking": False}, {"enable_thinking": True}])
def test_qwen_template(qwen2: Tokenizer, qwen2_hf: PreTrainedTokenizerBase, thinking: dict[str, bool]) -> None:
    for prompt in (True, False):
        for tools in (None, TOOLS):
            expected = qwen2_hf.apply_chat_template(
                TALK, tokenize=False, add_generation_prompt=prompt, tools=tools, **thinking
            )
            assert qwen2.render_chat(TALK, prompt, tools=tools, **thinking) == expected


def test_where_templates_are_found(folder: Path) -> None:
    def found() -> str:
        return Tokenizer.load(folder).render_chat(TALK)

    set_template(folder, [{"name": "default", "template": "list"}, {"name": "tool_use", "template": "tool"}])
    assert found() == "list"
    assert Tokenizer.load(folder).render_chat(TALK, tools=TOOLS) == "tool"
    (folder / "chat_template.json").write_text('{"chat_template": "json"}')
    assert found() == "json"
    (folder / "chat_template.jinja").write_text("jinja")
    assert found() == "jinja"
    assert AutoTokenizer.from_pretrained(folder).apply_chat_template(TALK, tokenize=False) == "jinja"


def test_a_template_speaks_for_itself(folder: Path) -> None:
    set_template(folder, "{{ raise_exception('Roles must alternate') }}")
    with pytest.raises(UserError, match="rejects this conversation: Roles must alternate"):
        Tokenizer.load(folder).render_chat(TALK)
    set_template(folder, "{% if %}")
    with pytest.raises(UserError, match="rejects this conversation"):
        Tokenizer.load(folder).render_chat(TALK)


def test_a_template_is_locked_in(folder: Path) -> None:
    set_template(folder, "{{ messages.append(1) }}{{ ''.__class__.__mro__ }}")
    with pytest.raises(UserError):
        Tokenizer.load(folder).render_chat(TALK)


def test_no_template(tinystories: Tokenizer) -> None:
    assert tinystories.chat_template is None
    with pytest.raises(UserError, match="has no chat template"):
        tinystories.render_chat(TALK)


def test_control_tokens_put_together_while_rendering(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    for id, role in enumerate(["user", "assistant", "tool"], 2048):
        config["added_tokens_decoder"][str(id)] = {"content": f"<|{role}|>", "special": True}
    config["chat_template"] = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}"
    path.write_text(json.dumps(config))
    assert Tokenizer.load(folder).control_ids() == {2, 2048, 2049}
