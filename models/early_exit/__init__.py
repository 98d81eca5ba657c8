"""Early-exit inference: networks that stop at an exit, thresholds that are calibrated, and truncated networks."""
