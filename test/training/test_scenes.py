"""Photos, backgrounds, and the scenes that are composed of them."""

import cv2
import numpy as np
import pytest

from emotion_ros.errors import DatasetError
from emotion_ros.training.detector.photos import Backgrounds, Photo, read_backgrounds, read_photos
from emotion_ros.training.detector.scenes import compose_scene


def test_scenes_are_the_same_for_the_same_seed_and_landmarks_lie_in_their_boxes(photos):
    kept = read_photos(photos)
    assert len(kept) == 61
    assert [len(photo.faces) for photo in kept if photo.name == "empty.png"] == [0]
    scenes = [compose_scene(kept, Backgrounds(), 320, np.random.default_rng((1, number))) for number in range(40)]
    again = compose_scene(kept, Backgrounds(), 320, np.random.default_rng((1, 7)))
    assert (again[0] == scenes[7][0]).all()
    assert (again[1] == scenes[7][1]).all()
    faces = np.concatenate([faces for _, faces in scenes])
    assert set(faces[:, 14]) == {0.0, 1.0}
    heights = faces[faces[:, 14] == 1, 3]
    assert heights.min() < 16
    assert heights.max() > 200
    inside = (faces[:, 4:14].reshape(-1, 5, 2) - faces[:, None, :2]) / faces[:, None, 2:4]
    assert ((inside > -0.1) & (inside < 1.1)).all()


def test_mirrored_faces_have_their_right_eye_on_the_left_of_the_image(photos):
    kept = [photo for photo in read_photos(photos) if len(photo.faces)]
    for number in range(40):
        _, faces = compose_scene(kept, Backgrounds(), 320, np.random.default_rng((2, number)))
        upright = faces[np.abs(faces[:, 5] - faces[:, 7]) < 0.2 * faces[:, 2]]
        assert (upright[:, 4] < upright[:, 6]).all()


def test_a_tenth_of_photos_is_held_out_by_name():
    image, none = np.zeros((4, 4, 3), np.uint8), np.zeros((0, 15), np.float32)
    held_out = [Photo(f"{number}.png", image, none, none).held_out for number in range(2000)]
    assert 150 < sum(held_out) < 250


def test_pictures_with_transparent_pixels_become_objects_in_scenes(photos, tmp_path):
    """Only the opaque half of the thing is visible."""
    thing = np.zeros((60, 60, 4), np.uint8)
    thing[:30] = (0, 255, 0, 255)
    thing[30:] = (0, 0, 255, 0)
    cv2.imwrite(str(tmp_path / "thing.png"), thing)
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((60, 60), 128, np.uint8))
    backgrounds = read_backgrounds(str(tmp_path))
    assert [image.shape for image in backgrounds.pictures] == [(60, 60, 3)]
    assert [image.shape for image in backgrounds.things] == [(60, 60, 4)]
    empty = [photo for photo in read_photos(photos) if not len(photo.faces)]
    images = [
        compose_scene(empty, backgrounds, 160, np.random.default_rng((3, number)))[0].astype(int)
        for number in range(60)
    ]
    green = [(image[..., 1] - image[..., [0, 2]].max(-1)).max() for image in images]
    assert 10 < sum(value > 60 for value in green) < 50


def test_missing_and_broken_photos_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"photos\.zip"):
        read_photos(tmp_path)
    (tmp_path / "photos.zip").write_bytes(b"broken")
    (tmp_path / "faces.csv").write_text("file,x\na.png,1\n")
    with pytest.raises(DatasetError, match="cannot read"):
        read_photos(tmp_path)


def test_unreadable_backgrounds_are_named(tmp_path):
    with pytest.raises(DatasetError, match="got none"):
        read_backgrounds(str(tmp_path))
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"broken\.png"):
        read_backgrounds(str(tmp_path))
