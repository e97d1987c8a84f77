//! Loads a model file: the network, its labels and its preprocessing, checked against each other.
