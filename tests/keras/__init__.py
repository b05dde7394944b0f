"""Tests of the TensorFlow and Keras backend; they need both, and pass over where these are missing."""
