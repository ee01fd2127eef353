import json
import logging

from prometheus_client.parser import text_string_to_metric_families


def figures(client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_and_what_was_shown_are_counted(serve):
    client = serve(answers_s=30.0)
    before = figures(client)
    items = client.get("/v1/users/u01/recommendations?top=4").json()["items"]
    client.post("/v1/listens", json={"listens": [{"user_id": "u01", "track_id": "low0"}]})
    after = figures(client)

    def grew(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    route = "/v1/users/{user_id:path}/recommendations"
    assert grew("firstlisten_request_duration_seconds_count", method="GET", route=route, status="200") == 1
    shown = sum(
        grew("firstlisten_recommendations_shown_total", source=source) for source in {i["source"] for i in items}
    )
    assert shown == 4
    assert grew("firstlisten_recommendations_cold_total") == sum(i["evidence"]["listeners"] == 0 for i in items)
    assert grew("firstlisten_listens_total", result="stored") == 1
    for _ in range(2):
        client.get("/v1/users/u02/recommendations?top=4")
    assert (
        figures(client)["firstlisten_answers_repeated_total", ()] == after["firstlisten_answers_repeated_total", ()] + 1
    )
    assert after["firstlisten_bundle_created_timestamp_seconds", (("bundle", "with-ears"),)] > 1.7e9
    assert ("firstlisten_uploads_waiting", ()) in after


def test_a_line_a_request_names_the_route_and_nobody(serve, caplog):
    client = serve(json_logs=True)
    with caplog.at_level(logging.INFO, logger="recommender.requests"):
        answer = client.get("/v1/users/u01/recommendations?top=3", headers={"X-Request-Id": "mine-1"})
        strange = client.get("/v1/nothing", headers={"X-Request-Id": "no good\u0000".encode("latin-1").decode()[:7]})
    assert answer.headers["x-request-id"] == "mine-1"
    assert strange.headers["x-request-id"] != "no good"
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "recommender.requests"]
    line = next(line for line in lines if line["request_id"] == "mine-1")
    assert (line["status"], line["route"]) == (200, "/v1/users/{user_id:path}/recommendations")
    assert line["bundle"] == "with-ears"
    assert "u01" not in json.dumps(lines)
