"""Off-policy learning with stable-baselines3: soft actor-critic, TD3 on Pendulum, or deep Q-learning on CartPole."""

import argparse

import numpy as np
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise

parser = argparse.ArgumentParser()
parser.add_argument("--algo", choices=["sac", "td3", "dqn"], default="sac")
parser.add_argument("--timesteps", type=int, default=600)
parser.add_argument("--save", default="agent")
args = parser.parse_args()

common = dict(verbose=1, seed=0, device="cpu", learning_starts=200, batch_size=64, buffer_size=10_000)
if args.algo == "sac":
    env = make_vec_env("Pendulum-v1", n_envs=1, seed=0)
    model = SAC(
        "MlpPolicy",
        env,
        learning_rate=3e-4,
        tau=0.005,
        ent_coef="auto",
        policy_kwargs=dict(net_arch=[64, 64]),
        **common,
    )
elif args.algo == "td3":
    env = make_vec_env("Pendulum-v1", n_envs=1, seed=0)
    noise = NormalActionNoise(mean=np.zeros(1), sigma=0.1 * np.ones(1))
    model = TD3("MlpPolicy", env, action_noise=noise, policy_delay=2, policy_kwargs=dict(net_arch=[64, 64]), **common)
else:
    env = make_vec_env("CartPole-v1", n_envs=1, seed=0, wrapper_class=Monitor)
    model = DQN("MlpPolicy", env, target_update_interval=100, train_freq=4, exploration_fraction=0.3, **common)

model.learn(total_timesteps=args.timesteps, log_interval=2)
model.save(args.save)
del model
agent = {"sac": SAC, "td3": TD3, "dqn": DQN}[args.algo].load(args.save)
obs = env.reset()
for _ in range(20):
    action, _states = agent.predict(obs, deterministic=True)
    obs, rewards, dones, info = env.step(action)
print("done")
