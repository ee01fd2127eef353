import doctest
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_examples_of_the_readme_run(demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data/workspaces").mkdir(parents=True)
    (tmp_path / "data/workspaces/demo").symlink_to(demo_folder)
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(>>> .*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        test = doctest.DocTestParser().get_doctest(example, {}, f"README example {number}", str(README), 0)
        said: list[str] = []
        outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
        assert outcome.failed == 0, "".join(said)
        assert outcome.attempted > 5
