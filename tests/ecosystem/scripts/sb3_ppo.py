"""Proximal policy optimization on CartPole with stable-baselines3: vectorized environments, evaluation callback, saved model."""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def linear_schedule(initial_value):
    def schedule(progress_remaining):
        return progress_remaining * initial_value

    return schedule


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--timesteps", type=int, default=4000)
    parser.add_argument("--n-envs", type=int, default=4)
    args = parser.parse_args()
    env = make_vec_env("CartPole-v1", n_envs=args.n_envs, seed=0)
    eval_env = make_vec_env("CartPole-v1", n_envs=1, seed=1)
    model = PPO(
        "MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=4, gae_lambda=0.95, gamma=0.99, ent_coef=0.01,
        learning_rate=linear_schedule(3e-4), clip_range=0.2, verbose=1, device="cpu", seed=0,
    )  # fmt: skip
    callbacks = [
        EvalCallback(eval_env, best_model_save_path="best", log_path="evaluations", eval_freq=500, n_eval_episodes=3),
        CheckpointCallback(save_freq=500, save_path="checkpoints"),
    ]
    model.learn(total_timesteps=args.timesteps, callback=callbacks)
    mean_reward, std_reward = evaluate_policy(model, eval_env, n_eval_episodes=5)
    print(f"mean reward {mean_reward:.1f} +/- {std_reward:.1f}")
    model.save("ppo_cartpole")


if __name__ == "__main__":
    main()
