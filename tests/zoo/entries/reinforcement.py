"""Reinforcement learning on made-up transitions: who learns from which loss, and what must not carry gradient."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Normal

import smokestep

from ..registry import healthy

OBS, ACTIONS = 4, 2


def mlp(n_in: int, n_out: int, hidden: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, n_out))


def transitions(n: int = 16, continuous: bool = False):
    return {
        "obs": torch.randn(n, OBS),
        "action": torch.rand(n, 1) * 2 - 1 if continuous else torch.randint(0, ACTIONS, (n,)),
        "reward": torch.randn(n),
        "next_obs": torch.randn(n, OBS),
        "done": (torch.rand(n) < 0.2).float(),
    }


@healthy()
def reinforce_with_baseline_subtracted() -> smokestep.Training:
    policy = mlp(OBS, ACTIONS)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

    def step():
        obs = torch.randn(OBS)
        log_probs, rewards = [], []
        for _ in range(6):
            dist = Categorical(logits=policy(obs))
            action = dist.sample()
            log_probs.append(dist.log_prob(action))
            rewards.append(float(action == 1) + 0.1 * torch.randn(()).item())
            obs = obs + 0.1 * torch.randn(OBS)
        returns, R = [], 0.0
        for r in reversed(rewards):
            R = r + 0.99 * R
            returns.insert(0, R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)
        loss = -(torch.stack(log_probs) * returns).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine = nn.Linear(OBS, 32)
        self.action_head = nn.Linear(32, ACTIONS)
        self.value_head = nn.Linear(32, 1)

    def forward(self, x):
        x = torch.tanh(self.affine(x))
        return self.action_head(x), self.value_head(x).squeeze(-1)


@healthy()
def actor_critic_shared_trunk_one_loss() -> smokestep.Training:
    model = ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(batch):
        logits, value = model(batch["obs"])
        with torch.no_grad():
            _, next_value = model(batch["next_obs"])
            target = batch["reward"] + 0.99 * next_value * (1 - batch["done"])
        dist = Categorical(logits=logits)
        advantage = target - value
        policy_loss = -(dist.log_prob(batch["action"]) * advantage.detach()).mean()
        value_loss = advantage.pow(2).mean()
        loss = policy_loss + 0.5 * value_loss - 0.01 * dist.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return smokestep.Training(step, transitions())


@healthy()
def actor_critic_separate_optimizers() -> smokestep.Training:
    actor, critic = mlp(OBS, ACTIONS), mlp(OBS, 1)
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3)

    def step(batch):
        obs = batch["obs"]
        with torch.no_grad():
            next_value = critic(batch["next_obs"]).squeeze(1)
        target = batch["reward"] + 0.99 * (1 - batch["done"]) * next_value
        td_error = target - critic(obs).squeeze(1)
        critic_loss = td_error.pow(2).mean()
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        log_prob = Categorical(logits=actor(obs)).log_prob(batch["action"])
        actor_loss = -(log_prob * td_error.detach()).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()
        return actor_loss, critic_loss

    return smokestep.Training(step, transitions())


@healthy()
def ppo_one_adam_for_both_networks() -> smokestep.Training:
    actor, critic = mlp(OBS, ACTIONS), mlp(OBS, 1)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-4, eps=1e-5)

    def step(batch):
        obs, actions, returns = batch["obs"], batch["action"], batch["reward"]
        with torch.no_grad():
            old_log_prob = Categorical(logits=actor(obs)).log_prob(actions)
            advantages = returns - critic(obs).squeeze(-1)
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        for _ in range(2):
            dist = Categorical(logits=actor(obs))
            ratio = (dist.log_prob(actions) - old_log_prob).exp()
            pg_loss = torch.max(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean()
            v_loss = 0.5 * (critic(obs).view(-1) - returns).pow(2).mean()
            loss = pg_loss - 0.01 * dist.entropy().mean() + 0.5 * v_loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
            optimizer.step()
        return loss

    return smokestep.Training(step, transitions())


@healthy()
def dqn_with_target_network() -> smokestep.Training:
    q_network, target_network = mlp(OBS, ACTIONS), mlp(OBS, ACTIONS)
    target_network.load_state_dict(q_network.state_dict())
    optimizer = torch.optim.Adam(q_network.parameters(), lr=2.5e-4)
    state = {"global_step": 0}

    def step(batch):
        with torch.no_grad():
            target_max, _ = target_network(batch["next_obs"]).max(dim=1)
            td_target = batch["reward"] + 0.99 * target_max * (1 - batch["done"])
        old_val = q_network(batch["obs"]).gather(1, batch["action"].unsqueeze(1)).squeeze()
        loss = F.mse_loss(td_target, old_val)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state["global_step"] += 1
        if state["global_step"] % 2 == 0:
            target_network.load_state_dict(q_network.state_dict())
        return loss

    return smokestep.Training(step, transitions())


@healthy()
def double_dqn_with_polyak_target() -> smokestep.Training:
    policy_net, target_net = mlp(OBS, ACTIONS), mlp(OBS, ACTIONS)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-4, amsgrad=True)
    criterion = nn.SmoothL1Loss()

    def step(batch):
        q = policy_net(batch["obs"]).gather(1, batch["action"][:, None])
        best = policy_net(batch["next_obs"]).argmax(dim=1, keepdim=True)
        next_q = target_net(batch["next_obs"]).gather(1, best).squeeze(1).detach()
        expected = batch["reward"] + 0.99 * next_q * (1 - batch["done"])
        loss = criterion(q, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        target_state, policy_state = target_net.state_dict(), policy_net.state_dict()
        for key in policy_state:
            target_state[key] = policy_state[key] * 0.005 + target_state[key] * 0.995
        target_net.load_state_dict(target_state)
        return loss

    return smokestep.Training(step, transitions())


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(OBS, 1)

    def forward(self, obs):
        return torch.tanh(self.net(obs))


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(OBS + 1, 1)

    def forward(self, obs, action):
        return self.net(torch.cat([obs, action], dim=1)).squeeze(1)


def soft_update(target: nn.Module, source: nn.Module, tau: float = 0.005) -> None:
    for t, s in zip(target.parameters(), source.parameters()):
        t.data.copy_(tau * s.data + (1 - tau) * t.data)


@healthy()
def ddpg() -> smokestep.Training:
    actor, critic = Actor(), QNetwork()
    actor_target, critic_target = copy.deepcopy(actor), copy.deepcopy(critic)
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-4)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, weight_decay=1e-2)

    def step(b):
        next_q = critic_target(b["next_obs"], actor_target(b["next_obs"]))
        target_q = b["reward"] + (1 - b["done"]) * 0.99 * next_q.detach()
        critic_loss = F.mse_loss(critic(b["obs"], b["action"]), target_q)
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        actor_loss = -critic(b["obs"], actor(b["obs"])).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()  # also reaches the critic, whose gradients are cleared before its next backward
        actor_optimizer.step()
        soft_update(critic_target, critic)
        soft_update(actor_target, actor)
        return critic_loss, actor_loss

    return smokestep.Training(step, transitions(continuous=True))


@healthy()
def td3_with_delayed_policy() -> smokestep.Training:
    actor, q1, q2 = Actor(), QNetwork(), QNetwork()
    actor_target, q1_target, q2_target = (copy.deepcopy(net).requires_grad_(False) for net in (actor, q1, q2))
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=3e-4)
    q_optimizer = torch.optim.Adam(list(q1.parameters()) + list(q2.parameters()), lr=3e-4)
    state = {"it": 0}

    def step(b):
        state["it"] += 1
        with torch.no_grad():
            noise = (torch.randn_like(b["action"]) * 0.2).clamp(-0.5, 0.5)
            next_action = (actor_target(b["next_obs"]) + noise).clamp(-1, 1)
            next_q = torch.min(q1_target(b["next_obs"], next_action), q2_target(b["next_obs"], next_action))
            target = b["reward"] + 0.99 * (1 - b["done"]) * next_q
        q_loss = F.mse_loss(q1(b["obs"], b["action"]), target) + F.mse_loss(q2(b["obs"], b["action"]), target)
        q_optimizer.zero_grad()
        q_loss.backward()
        q_optimizer.step()
        if state["it"] % 2 == 0:
            actor_loss = -q1(b["obs"], actor(b["obs"])).mean()
            actor_optimizer.zero_grad()
            actor_loss.backward()
            actor_optimizer.step()
            for target_net, net in ((actor_target, actor), (q1_target, q1), (q2_target, q2)):
                soft_update(target_net, net)
        return q_loss

    return smokestep.Training(step, transitions(continuous=True))


class GaussianPolicy(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(OBS, 32), nn.ReLU())
        self.mean = nn.Linear(32, 1)
        self.log_std = nn.Linear(32, 1)

    def sample(self, obs):
        h = self.trunk(obs)
        dist = Normal(self.mean(h), self.log_std(h).clamp(-5, 2).exp())
        raw = dist.rsample()
        action = torch.tanh(raw)
        log_prob = dist.log_prob(raw) - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_prob.squeeze(1)


@healthy()
def sac_with_learned_temperature() -> smokestep.Training:
    policy, q1, q2 = GaussianPolicy(), QNetwork(), QNetwork()
    q1_target, q2_target = copy.deepcopy(q1), copy.deepcopy(q2)
    log_alpha = torch.zeros(1, requires_grad=True)
    q_optimizer = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=1e-3)
    policy_optimizer = torch.optim.Adam(policy.parameters(), lr=3e-4)
    alpha_optimizer = torch.optim.Adam([log_alpha], lr=1e-3)

    def step(b):
        alpha = log_alpha.exp().item()
        with torch.no_grad():
            next_action, next_log_pi = policy.sample(b["next_obs"])
            next_q = torch.min(q1_target(b["next_obs"], next_action), q2_target(b["next_obs"], next_action))
            target = b["reward"] + (1 - b["done"]) * 0.99 * (next_q - alpha * next_log_pi)
        q_loss = F.mse_loss(q1(b["obs"], b["action"]), target) + F.mse_loss(q2(b["obs"], b["action"]), target)
        q_optimizer.zero_grad()
        q_loss.backward()
        q_optimizer.step()

        action, log_pi = policy.sample(b["obs"])
        q = torch.min(q1(b["obs"], action), q2(b["obs"], action))
        policy_loss = (alpha * log_pi - q).mean()
        policy_optimizer.zero_grad()
        policy_loss.backward()
        policy_optimizer.step()

        with torch.no_grad():
            _, log_pi = policy.sample(b["obs"])
        alpha_loss = (-log_alpha.exp() * (log_pi - 1.0)).mean()
        alpha_optimizer.zero_grad()
        alpha_loss.backward()
        alpha_optimizer.step()
        soft_update(q1_target, q1)
        soft_update(q2_target, q2)
        return q_loss, policy_loss, alpha_loss

    return smokestep.Training(step, transitions(continuous=True))


@healthy()
def decision_by_direct_preference() -> smokestep.Training:
    policy = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))
    reference = copy.deepcopy(policy).eval().requires_grad_(False)
    optimizer = torch.optim.RMSprop(policy.parameters(), lr=5e-4)

    def log_prob_of(model, tokens):
        logits = model(tokens[:, :-1])
        return logits.log_softmax(-1).gather(2, tokens[:, 1:].unsqueeze(2)).squeeze(2).sum(-1)

    def step(batch):
        chosen, rejected = batch
        chosen_logp, rejected_logp = log_prob_of(policy, chosen), log_prob_of(policy, rejected)
        with torch.no_grad():
            ref_chosen, ref_rejected = log_prob_of(reference, chosen), log_prob_of(reference, rejected)
        margin = (chosen_logp - ref_chosen) - (rejected_logp - ref_rejected)
        loss = -F.logsigmoid(0.1 * margin).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 20, (6, 7)), torch.randint(0, 20, (6, 7))))
