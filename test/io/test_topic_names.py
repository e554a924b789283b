import pytest

from emotion_ros.errors import ConfigError
from emotion_ros.io.topic_names import output_prefixes


@pytest.mark.parametrize(
    ("topics", "prefixes"),
    [
        ([], []),
        (["image_raw"], [""]),
        (["/left/image_raw"], [""]),
        (["left/image_raw", "right/image_raw"], ["left/", "right/"]),
        (["/left/image_raw", "/right/image_raw"], ["/left/", "/right/"]),
        (["left_camera", "right_camera"], ["left_camera/", "right_camera/"]),
        (["image_raw", "left/image_raw"], ["image_raw/", "left/"]),
        (["/image_raw", "/left/image_raw"], ["/image_raw/", "/left/"]),
        (["left/image_raw", "left/image_rect", "right/image"], ["left/image_raw/", "left/image_rect/", "right/"]),
        (["/left/image_raw", "left/image_rect"], ["/left/image_raw/", "left/image_rect/"]),
        (["left", "left/image_raw"], ["left/", "left/image_raw/"]),
        (["a/image_raw", "a/image_rect", "a/image_raw/image"], ["a/image_raw/", "a/image_rect/", "a/image_raw/image/"]),
        (["left/image_raw/", "right/image_raw"], ["left/", "right/"]),
    ],
)
def test_outputs_of_several_topics_are_distinct(topics, prefixes):
    assert output_prefixes(topics) == dict(zip(topics, prefixes, strict=True))
    assert len({f"/{prefix}emotions".replace("//", "/") for prefix in prefixes}) == len(topics)
    assert not any(prefix.startswith("//") for prefix in prefixes)


@pytest.mark.parametrize("again", ["left/image_raw", "left/image_raw/"])
def test_topic_named_twice_is_refused(again):
    with pytest.raises(ConfigError, match="'left/image_raw' twice; name each topic once"):
        output_prefixes(["left/image_raw", "right/image_raw", again])
