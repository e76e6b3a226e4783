"""A verb as its user meets it: exit status, what stands on stderr."""

import sys

import pytest

from frspec.cli.main import main


class Outside:
    """Runs ``frspec`` in this process, ``main`` and all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def run(self, *words: object) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        self._monkeypatch.setattr(sys, "argv", ["frspec", *map(str, words)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = self._capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, said.out, said.err

    def refusal(self, *words: object) -> str:
        """The one line that a mistake is answered with."""
        code, _, said = self.run(*words)
        assert code == 1, said
        assert said.startswith("frspec: ")
        assert said.count("\n") == 1
        return said.strip()
