"""The live page in a browser, with a detector."""

import functools
import json
import re
import shutil
import subprocess
import sys
import time

import cv2
import httpx
import numpy as np
import pytest
from axe_core_python.base import AXE_SCRIPT
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from emotion_ros.msg import Emotion, EmotionArray
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from serve_process import answering, encoded, free_port
from websockets.sync.client import connect

from emotion_ros.inference.catalog import default_model
from emotion_ros.nodes.detector_settings import DISCOVERY_TIMEOUT_S
from emotion_ros.nodes.graph import Process

DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(DRIVER is None, reason="chromedriver is missing: apt install chromium-driver")


@pytest.fixture
def page(start, tmp_path):
    """URL of the live page, with an image source, a detector and a capture node."""
    port = free_port()
    for name, parameters in (
        ("web", {"port": port}),
        ("capture", {"out": str(tmp_path / "data"), "every": 0.0}),
        ("detector", {"hands": False}),
        ("image_source", {"source": "sample", "loop": True}),
    ):
        start(name, **parameters)
    return answering(f"http://127.0.0.1:{port}")


@pytest.fixture
def browse():
    """Return a function that opens a page in a new browser."""
    opened = []

    def browse(url, *arguments):
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *arguments):
            options.add_argument(argument)
        opened.append(webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)))
        opened[-1].get(url)
        return opened[-1]

    yield browse
    for each in opened:
        each.quit()


def frames(browser):
    return int(browser.execute_script("return document.getElementById('picture').dataset.frames ?? 0"))


def text(browser, id):
    return browser.find_element(By.ID, id).text


def wait(browser, condition, seconds=60):
    return WebDriverWait(browser, seconds, 0.1).until(condition)


@needs_browser
def test_two_browsers_show_the_person_and_the_detector_draws_only_while_they_do(page, browse, listener):
    listener.settle()
    assert listener.node.count_subscribers("annotated/compressed") == 0
    first, second = browse(page), browse(page, "--window-size=390,844")
    for browser in (first, second):
        wait(browser, lambda browser: text(browser, "summary") == "happy")
        count = wait(browser, frames)
        wait(browser, lambda browser, count=count: frames(browser) > count + 5)
        wait(browser, lambda browser: "emotion_resnet18" in text(browser, "diagnostics"))
        wait(browser, lambda browser: "latency p95 (ms)" in text(browser, "diagnostics"))
        assert re.search(r"happy\n9\d %", text(browser, "people"))
        wait(browser, lambda browser: re.search(r"attention \d+ %, engag(ing|ed)\n", text(browser, "people")))
        wait(
            browser,
            lambda browser: re.match(r"1 in view, [01] attending, happy \d+ %, valence 0", text(browser, "group")),
        )
        wait(browser, lambda browser: re.search("comes into view → happy", text(browser, "events")))
        width = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1]  # a phone need not scroll sideways
    assert listener.node.count_subscribers("annotated/compressed") == 1
    errors = [each for each in first.get_log("browser") if each["level"] == "SEVERE"]
    assert errors == []
    first.quit()
    second.get("about:blank")  # the browser keeps the page that it leaves
    assert listener.until(lambda: listener.node.count_subscribers("annotated/compressed") == 0)
    second.back()
    count = frames(second)
    wait(second, lambda browser: frames(browser) > count + 5)


@needs_browser
@pytest.mark.parametrize("arguments", [(), ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")])
def test_the_page_is_accessible(page, browse, arguments):
    browser = browse(page, *arguments)
    wait(browser, lambda browser: text(browser, "summary") == "happy")
    wait(browser, lambda browser: text(browser, "diagnostics"))
    dark = browser.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == bool(arguments)
    browser.execute_script(AXE_SCRIPT)
    report = browser.execute_async_script("axe.run().then(arguments[0])")
    assert [(item["id"], item["nodes"][0]["html"]) for item in report["violations"]] == []
    assert len(report["passes"]) > 10


@needs_browser
def test_the_page_reconnects_to_a_restarted_node(start, browse):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    node = start("web", port=port)
    answering(url)
    browser = browse(url)
    wait(browser, lambda browser: text(browser, "status") == "connected")
    node.terminate()
    wait(browser, lambda browser: "lost" in text(browser, "status"))
    assert node.wait(10) == 0
    start("web", port=port)
    wait(browser, lambda browser: text(browser, "status") == "connected")


@needs_browser
def test_pictures_are_stored_only_when_the_button_is_pressed(page, browse, tmp_path):
    browser = browse(page)
    form = wait(browser, lambda browser: browser.find_element(By.ID, "capture"))
    wait(browser, lambda _: form.is_displayed())
    assert not list(tmp_path.rglob("*.jpg"))
    browser.find_element(By.ID, "label").send_keys("joy")
    count = browser.find_element(By.ID, "count")
    count.clear()
    count.send_keys("3")
    form.submit()
    wait(browser, lambda browser: "storing joy" in text(browser, "captured"))
    wait(browser, lambda _: len(list((tmp_path / "data" / "joy").glob("*.jpg"))) == 3)
    assert httpx.post(f"{page}/capture", json={"label": "../../etc", "count": 1}).status_code == 422


@needs_browser
def test_a_picture_and_a_video_of_the_visitor_are_classified(page, browse, portrait, tmp_path):
    picture, video = tmp_path / "mine.png", tmp_path / "mine.webm"
    cv2.imwrite(str(picture), portrait)
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"VP80"), 10, (640, 480))
    for _ in range(30):
        writer.write(portrait)
    writer.release()
    browser = browse(page)
    wait(browser, lambda browser: text(browser, "status") == "connected")
    for path in (picture, video):
        browser.find_element(By.ID, "file").send_keys(str(path))
        wait(browser, lambda browser, path=path: text(browser, "view-title") == path.name)
        before = frames(browser)
        wait(browser, lambda browser, before=before: frames(browser) > before)
        wait(browser, lambda browser: text(browser, "summary") == "happy")
        assert "parameters of /detector" in text(browser, "classified-by")
        browser.find_element(By.ID, "back").click()
    assert text(browser, "view-title") == "Camera"


def classify_dropped(url, image):
    """Answer of the live page for a dropped picture."""
    return httpx.post(f"{url}/v1/detect", content=encoded(image, ".jpg"), timeout=60).json()


def until_settings(url, image, settings, seconds=40):
    """Answer for a dropped picture once the page uses the given settings; until then also errors."""
    deadline = time.monotonic() + seconds
    while (answer := classify_dropped(url, image)).get("settings") != settings:
        assert time.monotonic() < deadline, answer
        time.sleep(0.3)
    return answer


def test_a_dropped_picture_is_classified_as_the_detector_classifies_camera_images(start, listener, portrait):
    port = free_port()
    start("web", port=port)
    url = answering(f"http://127.0.0.1:{port}")
    alone = classify_dropped(url, portrait)
    assert alone["settings"] == "default settings: no node /detector found"
    assert alone["results"][0]["people"][0]["label"] == "happy"
    begin = time.monotonic()
    classify_dropped(url, portrait)
    assert time.monotonic() - begin < DISCOVERY_TIMEOUT_S  # waited for once, not for each picture of a video

    detector = start("detector", hands=False, model="emotion_resnet18", label_map="{joyful: [happy]}")
    beside = until_settings(url, portrait, "parameters of /detector")
    assert re.match(r"emotion_resnet18@", beside["model"])
    assert beside["results"][0]["people"][0]["label"] == "joyful"

    renamed = Parameter("label_map", value="{delighted: [happy]}").to_parameter_msg()
    request = SetParameters.Request(parameters=[renamed])
    assert listener.call(SetParameters, "detector/set_parameters", request).results[0].successful
    changed = classify_dropped(url, portrait)
    assert changed["results"][0]["people"][0]["label"] == "delighted"

    detector.terminate()
    until_settings(url, portrait, "default settings: no node /detector found")


def test_a_detector_model_that_cannot_be_loaded_is_reported_for_a_dropped_picture(start, listener, portrait, tmp_path):
    model = tmp_path / "mine.onnx"
    shutil.copy(default_model(), model)
    start("detector", hands=False, model=str(model))
    loaded = listener.call(GetParameters, "detector/get_parameters", GetParameters.Request(names=["model"]))
    assert loaded.values[0].string_value == str(model)
    model.unlink()
    port = free_port()
    start("web", port=port)
    url = answering(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + 20
    while "detail" not in (answer := classify_dropped(url, portrait)) and time.monotonic() < deadline:
        time.sleep(0.3)  # until the web node has discovered the detector
    assert str(model) in answer["detail"]


def test_a_viewer_that_requests_no_update_gets_none_and_delays_no_other(page, listener):
    with connect(page.replace("http", "ws") + "/live") as slow, connect(page.replace("http", "ws") + "/live") as fast:
        assert "colors" in slow.recv(5)
        assert "colors" in fast.recv(5)
        pictures = 0
        deadline = time.monotonic() + 30
        while pictures < 20 and time.monotonic() < deadline:
            fast.send("next")
            if '"picture":true' in fast.recv(5).replace(" ", ""):
                assert cv2.imdecode(np.frombuffer(fast.recv(5), np.uint8), cv2.IMREAD_COLOR).shape == (480, 640, 3)
                pictures += 1
        assert pictures == 20
        with pytest.raises(TimeoutError):
            slow.recv(0.5)


def state_of(viewer):
    """The state that a viewer is sent."""
    viewer.send("next")
    message = json.loads(viewer.recv(5))
    if message["picture"]:
        viewer.recv(5)
    return message["state"]


def until_shown(viewer, listener, condition, send=lambda: None):
    """The state that a viewer is sent once it meets a condition; ``send`` is called until then."""
    state = {}

    def is_shown():
        nonlocal state
        send()
        state = state_of(viewer)
        return condition(state)

    assert listener.until(is_shown), state
    return state


def diagnostics_of(*namespaces):
    """Diagnostics of detectors; the message of each is its namespace."""
    name = "/social_perception/faces/emotion_ros"
    values = [KeyValue(key="provider", value="cpu")]
    return DiagnosticArray(
        status=[DiagnosticStatus(name=name + each, message=each, values=values) for each in namespaces]
    )


def test_a_page_shows_the_diagnostics_of_the_detector_in_its_namespace_only(spawn, listener):
    port = free_port()
    spawn(*Process("web", {"port": port}).command(), "-r", "__ns:=/left")
    answering(f"http://127.0.0.1:{port}")
    diagnostics = listener.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    send = functools.partial(diagnostics.publish, diagnostics_of("/left", "/right", "/left/camera", "/lef"))
    with connect(f"ws://127.0.0.1:{port}/live") as viewer:
        viewer.recv(5)
        for _ in range(3):
            assert until_shown(viewer, listener, lambda state: state.get("diagnostics"), send)["status"] == "/left"


def test_a_page_forgets_people_and_diagnostics_of_a_detector_that_ended(start, listener):
    port = free_port()
    start("web", port=port)
    answering(f"http://127.0.0.1:{port}")
    emotions = listener.node.create_publisher(EmotionArray, "emotions", 10)
    diagnostics = listener.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    people = EmotionArray(labels=["happy"], emotions=[Emotion(id="abcde", label="happy", probabilities=[1.0])])

    def send():
        emotions.publish(people)
        diagnostics.publish(diagnostics_of(""))

    with connect(f"ws://127.0.0.1:{port}/live") as viewer:
        viewer.recv(5)
        until_shown(viewer, listener, lambda state: state.get("people") and state.get("diagnostics"), send)
        last = until_shown(viewer, listener, lambda state: not state["people"] and not state["diagnostics"])
        assert last["status"] == "no message of the detector"
        until_shown(viewer, listener, lambda state: state["people"] and state["diagnostics"], send)


def test_a_page_that_others_reach_needs_a_token(start, tmp_path):
    (tmp_path / "token").write_text("a-token-of-more-than-16-characters\n")
    port = free_port()
    refused = start("web", host="0.0.0.0", port=port)
    assert refused.wait(30) == 1
    assert "--token-file" in refused.communicate()[1]
    start("web", host="0.0.0.0", port=port, token_file=str(tmp_path / "token"))
    url = answering(f"http://127.0.0.1:{port}")
    with httpx.Client(base_url=url) as client:
        for path in ("/", "/page/app.js", "/?token=wrong"):
            assert client.get(path).status_code == 401
        with pytest.raises(Exception, match="403"):
            connect(url.replace("http", "ws") + "/live").close()
        redirected = client.get("/", params={"token": "a-token-of-more-than-16-characters"})
        assert redirected.status_code == 303
        assert "HttpOnly" in redirected.headers["set-cookie"]
        assert client.get("/").status_code == 200
        assert client.get("/page/app.js").status_code == 200
        assert client.get("/page/../index.html").status_code == 404
        assert client.post("/capture", json={"label": "joy"}).status_code == 409
    with pytest.raises(Exception, match="403"):
        connect(url.replace("http", "ws") + "/live", additional_headers={"Origin": "http://evil.example"}).close()


def test_the_page_loads_only_files_of_its_own_server(start):
    port = free_port()
    start("web", port=port)
    url = answering(f"http://127.0.0.1:{port}")
    page = httpx.get(url).text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {"page/app.js", "page/style.css", "page/icon.svg"} == set(assets)
    for content in (page, *(httpx.get(f"{url}/{asset}").raise_for_status().text for asset in assets)):
        outside = content.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import", outside)


@pytest.mark.parametrize("start", ["from emotion_ros.nodes.web_node import main", "from emotion_ros.cli import main"])
def test_a_missing_web_server_is_reported_with_the_command_to_install_it(start):
    code = f"import sys; sys.modules['fastapi'] = None; sys.argv = ['emotion-ros', 'serve']; {start}; sys.exit(main())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode in (1, 2)
    assert "fastapi is not installed: pip install fastapi prometheus-client" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("start", ["from emotion_ros.nodes.web_node import main", "from emotion_ros.cli import main"])
def test_web_server_of_ubuntu_that_is_too_old_is_reported(start, tmp_path):
    (tmp_path / "pydantic-1.10.14.dist-info").mkdir()
    (tmp_path / "pydantic-1.10.14.dist-info" / "METADATA").write_text("Name: pydantic\nVersion: 1.10.14\n")
    code = (
        f"import sys; sys.path.insert(0, sys.argv[-1]); sys.argv = ['emotion-ros', 'serve']; {start}; sys.exit(main())"
    )
    result = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode in (1, 2)
    assert (
        "pydantic cannot be used (expected version 2, found 1.10.14): pip install fastapi prometheus-client"
        in result.stderr
    )
    assert "Traceback" not in result.stderr
