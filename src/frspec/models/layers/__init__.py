"""The parts of a decoder layer: plain objects that hold tensors, called as functions."""
