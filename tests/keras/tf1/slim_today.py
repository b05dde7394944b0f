"""What `slim.batch_norm` needs on today's TensorFlow: three names where tf_slim looks for them (see the guide)."""

import sys

import tensorflow as tf
import tf_keras.src.legacy_tf_layers as layers
import tf_keras.src.legacy_tf_layers.normalization as normalization
from tensorflow.python.framework import ops
from tensorflow.python.ops import cond, control_flow_ops

sys.modules.setdefault("tf_keras.legacy_tf_layers", layers)
sys.modules.setdefault("tf_keras.legacy_tf_layers.normalization", normalization)
if not hasattr(ops, "Tensor"):
    ops.Tensor = tf.Tensor
if not hasattr(control_flow_ops, "cond"):
    control_flow_ops.cond = cond.cond
