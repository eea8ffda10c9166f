import json
import logging
import os

from sequal.learning.training import TrainStats


def test_a_client_sees_the_round_from_start_to_end(tmp_path):
    path = tmp_path / "stats.json"
    assert TrainStats.read(path) == {}
    stats = TrainStats(path, total_epochs=5)
    first = TrainStats.read(path)
    assert (first["epoch"], first["total_epochs"], first["best_metric"]) == (0, 5, 0.0)
    assert first["pid"] == os.getpid()
    assert "total_time" not in first
    stats.update({"epoch": 2, "best_metric": 0.5, "doing": "Training"})
    assert TrainStats.read(path)["epoch"] == 2
    last = stats.finish({"published": True})
    assert last == TrainStats.read(path)
    assert last["total_time"] >= 0.0
    assert last["best_metric"] == 0.5
    assert "doing" not in last


def test_half_a_file_is_no_stats(tmp_path):
    (tmp_path / "stats.json").write_text('{"epoch": 1')
    assert TrainStats.read(tmp_path / "stats.json") == {}


def test_a_full_disk_stops_the_stats_not_the_round(tmp_path, monkeypatch, caplog):
    path = tmp_path / "stats.json"
    stats = TrainStats(path, 3)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sequal.study.state.atomic.os.replace", full)
    with caplog.at_level(logging.WARNING):
        stats.update({"epoch": 1})
    assert "No space left" in caplog.text
    assert json.loads(path.read_text())["epoch"] == 0
    monkeypatch.undo()
    assert stats.finish({})["epoch"] == 1
