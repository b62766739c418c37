"""A flood wave as a function of time: pure arithmetic, no clock.

Numbers: Cuntan rose to 191.62 m with 74,600 m3/s on 20 August 2020; its hourly change in the June 2020 flood was at most
0.50 m/h. The rise is half a cosine of 60 h from 175 m: steepest pi/2 * 16.62 m / 60 h = 0.435 m/h. The recession takes 120 h.
"""
import math

PEAK_LEVEL_M = 191.62
BASE_LEVEL_M = 175.0
RISE_H = 60.0
FALL_H = 120.0

# Flow over level at Cuntan, Q = A * (Z - Z0) ** 1.5: laid through the peak of 2020 and 169.28 m / 20,600 m3/s of June 2020.
RATING_A = 308.5
RATING_ZERO_M = 152.8


def swell(phase_h):
    """How far the wave has swollen, 0 to 1, `phase_h` hours after its peak (negative: before it)."""
    length = RISE_H if phase_h < 0 else FALL_H
    if abs(phase_h) >= length:
        return 0.0
    return 0.5 + 0.5 * math.cos(math.pi * phase_h / length)


def level_m(phase_h):
    return BASE_LEVEL_M + (PEAK_LEVEL_M - BASE_LEVEL_M) * swell(phase_h)


def flow_m3s(level):
    """Flow at Cuntan for a level in metres."""
    return RATING_A * max(0.0, level - RATING_ZERO_M) ** 1.5
