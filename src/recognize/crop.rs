//! From a picture and a square in it to the network's input: the one way, in training and live.
