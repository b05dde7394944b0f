"""The TensorFlow backend: opens private worlds for Keras models and GradientTape loops, and watches live loops."""
