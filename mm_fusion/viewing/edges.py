"""LiDAR edges over image edges: how well a calibration fits, for the eye."""

from __future__ import annotations

import cv2
import numpy as np

from mm_fusion.evaluation.projection import EdgeView
from mm_fusion.viewing import palette
from mm_fusion.viewing.drawing import Picture, write_on_backing

WIDTH_PX = 1280


def draw_edges(view: EdgeView) -> Picture:
    """The darkened image with its edges and the LiDAR's on top, at most 1280 px wide."""
    picture = (view.pixels * 0.45).astype(np.uint8)
    picture[view.edges.mask] = palette.EDGE_IMAGE
    radius = max(2, round(picture.shape[1] / 450))
    for at, between in zip(view.at_px, view.between_rings):
        colour = palette.EDGE_TOP if between else palette.EDGE_SIDE
        centre = (int(round(float(at[0]))), int(round(float(at[1]))))
        cv2.circle(picture, centre, radius, colour, -1, cv2.LINE_AA)
    width = min(WIDTH_PX, picture.shape[1])
    size = (width, round(picture.shape[0] * width / picture.shape[1]))
    scaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    median = float(np.median(view.given_px))
    text = f"{view.camera}: {len(view.at_px)} LiDAR edges, median {median:.1f} px to the image's"
    write_on_backing(scaled, text, (12, 28), palette.TEXT, palette.GROUND, 0.6)
    write_on_backing(scaled, "ends to the side", (12, 52), palette.EDGE_SIDE, palette.GROUND)
    write_on_backing(scaled, "ends above or below", (150, 52), palette.EDGE_TOP, palette.GROUND)
    write_on_backing(scaled, "image edges", (320, 52), palette.EDGE_IMAGE, palette.GROUND)
    return scaled
