"""The server's process hears uploads and answers without loading the packages that only training needs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.serving.conftest import make_settings, tone, write_wav

PROGRAM = """
import json, sys
from pathlib import Path
import httpx
from recommender.serving.app import create_app
from recommender.serving.settings import Settings
from tests.serving.conftest import running

app = create_app(Settings.from_json(sys.argv[1]))
with running(app) as address, httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
    upload = client.post("/v1/tracks", files={"file": ("new.wav", Path(sys.argv[2]).read_bytes())})
    assert upload.status_code == 201, upload.text
    track = upload.json()["track"]["id"]
    answers = {
        "tracks": client.get("/v1/tracks?limit=100"),
        "similar": client.get(f"/v1/tracks/{track}/similar?top=3"),
        "recommendations": client.get("/v1/users/u01/recommendations"),
        "explanation": client.get(f"/v1/users/u01/explanations/{track}"),
        "model": client.get("/v1/model"),
    }
heavy = {"torch", "torchaudio", "onnx", "onnxscript", "librosa", "matplotlib"}
print(json.dumps({name: answer.json() for name, answer in answers.items()}
                 | {"track": track, "loaded": sorted(heavy & set(sys.modules))}))
"""


def test_an_upload_is_heard_and_recommended_without_torch(world: Any, tmp_path: Path) -> None:
    settings = make_settings(world, tmp_path, warm_hearing=True).to_json()
    new = write_wav(tmp_path / "new.wav", tone(220.0, seed=500))
    command = [sys.executable, "-W", "error", "-c", PROGRAM, settings, str(new)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["loaded"] == []
    assert told["model"]["ears_ready"]
    assert told["track"] in {track["id"] for track in told["tracks"]["items"]}
    assert {item["track"]["id"][:3] for item in told["similar"]["items"]} == {"low"}
    assert told["recommendations"]["items"]
    assert told["explanation"]["sounds_like"][0]["here_start_s"] == 0.0
