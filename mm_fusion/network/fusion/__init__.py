"""One file per operator that joins sensors' features; all keep one contract.

`forward(features (S, B, C, X, Y), available (S, B, 1, X, Y)) -> fused (B, C, X, Y), weights (S, B, 1, X, Y)`
with sensors in the order camera, LiDAR, radar. Weights are non-negative, sum to one over the sensors
present in a cell and are zero for the absent; with none present `fused` is zero. An absent sensor's features
cannot change a bit of the result.
"""
