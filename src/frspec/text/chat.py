"""Conversations to text, through a checkpoint's own chat template.

Knows: where a folder keeps its templates, which of them a conversation takes, what they may use. Does not know:
token ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frspec.errors import UserError

Message = Mapping[str, Any]


class ChatTemplate:
    """One template, or several by name; compiled when first used.

    ``special``: the texts of ``bos_token``, ``eos_token``, ... for templates to use. ``name``: for error messages.
    """

    def __init__(self, sources: Mapping[str, str], special: Mapping[str, str], name: str) -> None:
        self._sources = dict(sources)
        self._special = dict(special)
        self._name = name

    @property
    def source(self) -> str:
        """The text of the template for conversations without tools."""
        return self._source("default")

    @property
    def tool_source(self) -> str:
        """The text of the template for conversations with tools."""
        return self._sources.get("tool_use") or self.source

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True, **variables: Any) -> str:
        """The text the model is to continue. ``variables`` (``tools``, ``enable_thinking``, ...) reach the template.

        Raises:
            UserError: with the template's own words when it rejects the conversation.
        """
        from frspec.text.jinja_environment import compile_template

        source = self.tool_source if variables.get("tools") else self.source
        given = {"tools": None, "documents": None, **self._special, **variables}
        try:
            return compile_template(source).render(
                messages=messages, add_generation_prompt=add_generation_prompt, **given
            )
        except Exception as error:  # a template is a program: it can fail in any way
            raise UserError(f"the chat template of {self._name} rejects this conversation: {error}") from error

    def _source(self, name: str) -> str:
        if name not in self._sources:
            names = ", ".join(sorted(self._sources))
            raise UserError(f"{self._name} has chat templates for {names}, but none for plain conversations")
        return self._sources[name]


def find_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The folder's templates by name; a single one is called "default"; empty when there is none.

    ``chat_template.jinja`` and the files in ``additional_chat_templates`` win over ``chat_template.json``, and that
    over ``tokenizer_config.json``.
    """
    files = {path.stem: path for path in sorted((folder / "additional_chat_templates").glob("*.jinja"))}
    if (folder / "chat_template.jinja").is_file():
        files["default"] = folder / "chat_template.jinja"
    if files:
        return {name: path.read_text("utf-8") for name, path in files.items()}
    from frspec.text.folders import read_json

    found = read_json(folder / "chat_template.json").get("chat_template") or config.get("chat_template") or {}
    if isinstance(found, list) and all(isinstance(entry, dict) for entry in found):
        found = {entry.get("name"): entry.get("template") for entry in found}
    templates = {"default": found} if isinstance(found, str) else found
    if not isinstance(templates, dict) or not all(isinstance(word, str) for pair in templates.items() for word in pair):
        raise UserError(f"{folder}: its chat_template is neither a text nor texts by name; get the files again")
    return templates
