"""Few-shot episodes: who may support whom, and ranks by hand."""

import numpy as np
import pytest

from edgehar.errors import DataError
from edgehar.training.episodes import Episodes, draw_episodes, ranks, top

CLASSES = np.repeat(np.arange(6), 12)
PEOPLE = np.tile(np.repeat(np.arange(3), 4), 6)
SESSIONS = np.tile([0, 0, 1, 1], 18)


def test_support_is_of_other_people_and_the_first_way_is_right():
    drawn = draw_episodes(CLASSES, PEOPLE, ways=5, shots=3, count=200, rng=np.random.default_rng(0))
    assert drawn.support.shape == (200, 5, 3)
    assert (PEOPLE[drawn.support] != PEOPLE[drawn.query][:, None, None]).all()
    classes = CLASSES[drawn.support]
    assert (classes == classes[..., :1]).all()
    assert (classes[:, 0, 0] == CLASSES[drawn.query]).all()
    assert all(len(set(row.tolist())) == 5 for row in classes[..., 0])
    assert all(len(set(way.tolist())) == 3 for way in drawn.support[:, 0])
    assert set(CLASSES[drawn.query].tolist()) == set(range(6))


def test_support_of_the_same_person_is_of_other_sessions():
    drawn = draw_episodes(CLASSES, PEOPLE, ways=4, shots=2, count=100, rng=np.random.default_rng(0), sessions=SESSIONS)
    assert (PEOPLE[drawn.support] == PEOPLE[drawn.query][:, None, None]).all()
    assert (SESSIONS[drawn.support] != SESSIONS[drawn.query][:, None, None]).all()


def test_ranks_by_hand():
    vectors = np.array([[1, 0], [2, 2], [0, 3], [-1, 0], [9, 1]], np.float32)
    episodes = Episodes(np.array([0, 0, 0]), np.array([[[4], [1], [2]], [[2], [1], [3]], [[1], [1], [4]]]))
    beaten = ranks(vectors, episodes)
    assert beaten.tolist() == [0, 1, 2]  # a tie counts against the episode
    assert [top(beaten, k) for k in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]


def test_a_prototype_is_the_mean_of_directions():
    vectors = np.array([[1, 1], [100, 0], [0, 1], [1, -0.2]], np.float32)
    episodes = Episodes(np.array([0]), np.array([[[1, 2], [3, 3]]]))
    assert ranks(vectors, episodes).tolist() == [0]  # by lengths, the first prototype would lie at [100, 0]


@pytest.mark.parametrize(
    ("ways", "shots", "words"), [(7, 1, "of 7 classes, but there are 6"), (5, 9, "no episode of 5")]
)
def test_too_few_classes_or_rows(ways, shots, words):
    with pytest.raises(DataError, match=words):
        draw_episodes(CLASSES, PEOPLE, ways=ways, shots=shots, count=1, rng=np.random.default_rng(0))
