"""Every operation of the schema, asked whatever the schema allows and much that it does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.slow
def test_no_answer_fails_or_is_undocumented(serve, tmp_path: Path) -> None:
    client: httpx.Client = serve(requests_per_minute=10_000_000, uploads_per_minute=1_000_000, log_served=False)
    operations = sum(len(methods) for methods in client.get("/openapi.json").json()["paths"].values())
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += [
        "run",
        f"{str(client.base_url).rstrip('/')}/openapi.json",
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing",
    ]
    command += ["--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "3"), "--seed", "1", "--continue-on-failure"]
    command += ["--no-color", "--request-timeout", "20", "--header", "Authorization: Token u00"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert tested is not None
    assert int(tested[1]) == operations > 60
    print(done.stdout[done.stdout.index("SUMMARY") :])


def test_every_operation_has_words_and_an_example(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    lacking = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            content = operation["responses"].get("200", operation["responses"].get("202", {})).get("content", {})
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            shown = [body, content.get("application/json", {}).get("schema", {})]
            names = [one["$ref"].rsplit("/", 1)[1] for one in shown if "$ref" in one]
            without = [name for name in names if not _has_example(schema["components"]["schemas"][name])]
            if not operation.get("summary") or without:
                lacking.append((method, path, without))
    assert lacking == []


def _has_example(schema: dict) -> bool:
    return "example" in schema or "examples" in schema
