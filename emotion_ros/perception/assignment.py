"""Assigns detections to tracks with the smallest total distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(distances: NDArray[np.float64], max_distance: float) -> list[int]:
    """Return the column of each row, or −1, at the smallest total distance.

    No column is assigned twice. A row without a column adds ``max_distance`` to the total.

    Args:
        distances: n × m, not negative. Values above ``max_distance`` and NaN are never assigned.
        max_distance: maximum distance of a pair.
    """
    rows, columns = distances.shape
    if not rows or not columns:
        return [-1] * rows
    allowed = np.where(distances <= max_distance, distances, np.inf)
    nearest = allowed.argmin(axis=1).tolist()
    assigned = [column if allowed[row, column] < np.inf else -1 for row, column in enumerate(nearest)]
    chosen = [column for column in assigned if column >= 0]
    if len(set(chosen)) == len(chosen):  # each row has its nearest column, so no total is smaller
        return assigned
    # One more column per row means "no column". Forbidden pairs cost more than all rows without a column.
    forbidden = (rows + 1) * max_distance
    costs = np.hstack([np.minimum(allowed, forbidden), np.full((rows, rows), max_distance)])
    return [column if column < columns else -1 for column in _hungarian(costs)]


def _hungarian(costs: NDArray[np.float64]) -> list[int]:
    """Return the column of each row at the smallest total cost, for n × m finite costs with n ≤ m.

    Hungarian method with potentials: one shortest augmenting path per row (Jonker and Volgenant, "A shortest augmenting
    path algorithm for dense and sparse linear assignment problems", 1987). O(n · n · m).
    """
    rows, columns = costs.shape
    potentials = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    for row in range(rows):
        column, previous = _augmenting_path(costs, potentials, row_of, row)
        while column >= 0:  # each row on the path takes the next column of the path
            before = int(previous[column])
            row_of[column] = row if before < 0 else row_of[before]
            column = before
    column_of = {int(row): column for column, row in enumerate(row_of) if row >= 0}
    return [column_of[row] for row in range(rows)]


def _augmenting_path(
    costs: NDArray[np.float64],
    potentials: tuple[NDArray[np.float64], NDArray[np.float64]],
    row_of: NDArray[np.int_],
    row: int,
) -> tuple[int, NDArray[np.int_]]:
    """Find the shortest path from a row to a free column (Dijkstra) and update the potentials of rows and columns.

    Returns:
        The free column, and the previous column on the path to each column; −1: the path starts at ``row``.
    """
    row_potentials, column_potentials = potentials
    columns = len(row_of)
    lengths, previous, is_visited = np.full(columns, np.inf), np.full(columns, -1), np.zeros(columns, bool)
    length, current, column = 0.0, row, -1
    while current >= 0:
        reduced = length + costs[current] - row_potentials[current] - column_potentials
        is_shorter = ~is_visited & (reduced < lengths)
        lengths[is_shorter], previous[is_shorter] = reduced[is_shorter], column
        column = int(np.where(is_visited, np.inf, lengths).argmin())
        length, is_visited[column] = float(lengths[column]), True
        current = int(row_of[column])
    is_visited[column] = False  # only the assigned columns on the way change their potential
    row_potentials[row] += length
    row_potentials[row_of[is_visited]] += length - lengths[is_visited]
    column_potentials[is_visited] -= length - lengths[is_visited]
    return column, previous
