"""The slot between image callbacks and the worker thread."""

import threading
import time

from emotion_ros.nodes.latest_frame_slot import LatestFrameSlot


def test_newest_item_of_each_camera_is_taken_and_replaced_ones_are_counted():
    slot = LatestFrameSlot()
    for item in (1, 2, 3):
        slot.put("left", item)
    slot.put("right", 7)
    assert slot.take() == {"left": 3, "right": 7}
    assert (slot.received, slot.dropped["left"], slot.dropped["right"]) == ({"left": 3, "right": 1}, 2, 0)


def test_take_returns_nothing_after_its_timeout_and_the_next_item_later():
    slot = LatestFrameSlot()
    begin = time.monotonic()
    assert slot.take(timeout=0.2) == {}
    assert time.monotonic() - begin >= 0.2
    slot.put("left", 1)
    assert slot.take(timeout=0.2) == {"left": 1}


def test_item_and_close_wake_a_waiting_thread():
    slot, results = LatestFrameSlot(), []
    arrived = threading.Semaphore(0)

    def work():
        while (items := slot.take()) is not None:
            results.append(items)
            arrived.release()

    worker = threading.Thread(target=work)
    worker.start()
    slot.put("left", 1)
    assert arrived.acquire(timeout=10)
    slot.close()
    worker.join(10)
    assert not worker.is_alive()
    assert results == [{"left": 1}]


def test_closed_slot_gives_none_even_with_items_left():
    slot = LatestFrameSlot()
    slot.put("left", 1)
    slot.close()
    assert slot.take() is None
    assert slot.take(timeout=0.0) is None
