"""Early-exit inference: networks that stop at an exit, calibration of thresholds, and truncated networks."""
