import jax
import optax
from flax import nnx

import smokestep


def training():
    rngs = nnx.Rngs(0)
    hidden, drop, out = nnx.Linear(3, 8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
    teacher = nnx.Sequential(hidden, nnx.relu, drop, out)
    teacher.eval()
    student = nnx.Linear(3, 2, rngs=rngs)
    optimizer = nnx.Optimizer(student, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(student, teacher, optimizer, x):
        wanted = nnx.softmax(teacher(x))

        def loss_fn(student):
            return optax.kl_divergence(nnx.log_softmax(student(x)), wanted).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(student)
        optimizer.update(student, grads)
        return loss

    return smokestep.Training(step, jax.random.normal(jax.random.key(1), (8, 3)), state=(student, teacher, optimizer))
