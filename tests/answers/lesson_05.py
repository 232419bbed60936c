"""Right and wrong answers to the exercises of lesson 05."""

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.functional import softplus

from tests.answers import wrappers

# --- 05-step


def game(critic_loss, artist_loss, again=False):
    """A step with these losses of (answers for real, answers for drawn); again: draw anew for the artist's loss."""

    def gan_step(artist, critic, real, z, artist_optimizer, critic_optimizer):
        drawn = artist(z)
        loss = critic_loss(critic(real), critic(drawn.detach()))
        critic_optimizer.zero_grad()
        loss.backward()
        critic_optimizer.step()
        loss = artist_loss(critic(artist(z) if again else drawn))
        artist_optimizer.zero_grad()
        loss.backward()
        artist_optimizer.step()

    return gan_step


def bce(answers, wanted):
    return F.binary_cross_entropy_with_logits(answers, torch.full_like(answers, wanted))


def usual(real, drawn):
    return softplus(-real).mean() + softplus(drawn).mean()


def up(drawn):
    return softplus(-drawn).mean()


def without_detach(artist, critic, real, z, artist_optimizer, critic_optimizer):
    loss = usual(critic(real), critic(artist(z)))
    critic_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()
    loss = up(critic(artist(z)))
    artist_optimizer.zero_grad()
    loss.backward()
    artist_optimizer.step()


def one_batch(artist, critic, real, z, artist_optimizer, critic_optimizer):
    critic_optimizer.zero_grad()
    with torch.no_grad():
        drawn = artist(z)
    answers = critic(torch.cat([real, drawn]))
    wanted = torch.cat([torch.ones(len(real), 1), torch.zeros(len(drawn), 1)])
    F.binary_cross_entropy_with_logits(answers, wanted).backward()
    critic_optimizer.step()
    artist_optimizer.zero_grad()
    bce(critic(artist(z)), 1.0).backward()
    artist_optimizer.step()


def never_zero(artist, critic, real, z, artist_optimizer, critic_optimizer):
    drawn = artist(z)
    usual(critic(real), critic(drawn.detach())).backward()
    critic_optimizer.step()
    up(critic(drawn)).backward()
    artist_optimizer.step()


def both_at_once(artist, critic, real, z, artist_optimizer, critic_optimizer):
    drawn = artist(z)
    loss = usual(critic(real), critic(drawn)) + up(critic(drawn))
    critic_optimizer.zero_grad()
    artist_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()
    artist_optimizer.step()


def detached_artist(artist, critic, real, z, artist_optimizer, critic_optimizer):
    drawn = artist(z).detach().requires_grad_()
    loss = usual(critic(real), critic(drawn.detach()))
    critic_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()
    artist_optimizer.zero_grad()
    up(critic(drawn)).backward()
    artist_optimizer.step()


def only_critic(artist, critic, real, z, artist_optimizer, critic_optimizer):
    critic_optimizer.zero_grad()
    usual(critic(real), critic(artist(z).detach())).backward()
    critic_optimizer.step()


# --- 05-truncate


def truncate(w, mean, psi):
    return mean + psi * (w - mean)


# --- 05-mix


def mix(coarse, fine, first, layers):
    codes = fine[:, None].repeat(1, layers, 1)
    codes[:, :first] = coarse[:, None]
    return codes


def mix_by_where(coarse, fine, first, layers):
    return torch.where(torch.arange(layers)[None, :, None] < first, coarse[:, None], fine[:, None])


def mix_by_list(coarse, fine, first, layers):
    return [[(c if k < first else f).tolist() for k in range(layers)] for c, f in zip(coarse, fine, strict=True)]


def mix_by_numpy(coarse, fine, first, layers):
    share = (np.arange(layers) < first).astype(np.float64)[None, :, None]
    return share * np.asarray(coarse)[:, None] + (1 - share) * np.asarray(fine)[:, None]


RIGHT = {
    "05-step": [
        game(usual, up),
        game(usual, up, again=True),
        game(lambda r, d: bce(r, 1.0) + bce(d, 0.0), lambda d: bce(d, 1.0)),
        game(lambda r, d: (bce(r, 1.0) + bce(d, 0.0)) / 2, lambda d: bce(d, 1.0)),
        game(lambda r, d: -F.logsigmoid(r).mean() - F.logsigmoid(-d).mean(), lambda d: -F.logsigmoid(d).mean()),
        game(lambda r, d: F.relu(1 - r).mean() + F.relu(1 + d).mean(), lambda d: -d.mean()),  # hinge
        game(lambda r, d: softplus(d - r).mean(), lambda d: softplus(-d).mean()),  # relativistic
        game(usual, lambda d: -softplus(d).mean()),  # the first paper's minimax game
        without_detach,
        one_batch,
    ],
    "05-truncate": [
        truncate,
        lambda w, mean, psi: w * psi + mean * (1 - psi),
        lambda w, mean, psi: torch.lerp(mean.expand_as(w), w, psi),
        lambda w, mean, psi: w + (psi - 1) * (w - mean),
        lambda w, mean, psi: np.asarray(mean) + psi * (np.asarray(w) - np.asarray(mean)),
        *wrappers(truncate),
    ],
    "05-mix": [mix, mix_by_where, mix_by_list, mix_by_numpy, *wrappers(mix)],
}
WRONG = {
    "05-step": [
        game(lambda r, d: softplus(r).mean() + softplus(-d).mean(), lambda d: softplus(d).mean()),  # who is who
        game(usual, lambda d: softplus(d).mean()),  # the artist helps the critic
        game(lambda r, d: softplus(-r).mean() + softplus(-d).mean(), up),  # everything is real
        game(lambda r, d: softplus(r).mean() + softplus(d).mean(), up),  # nothing is
        game(lambda r, d: softplus(d).mean(), up),  # real points are not looked at
        game(lambda r, d: 0 * r.mean(), up),
        never_zero,
        both_at_once,
        detached_artist,
        only_critic,
    ],
    "05-truncate": [
        lambda w, mean, psi: psi * w,  # towards 0
        lambda w, mean, psi: mean + (1 - psi) * (w - mean),
        lambda w, mean, psi: w + psi * (mean - w),
        lambda w, mean, psi: w + psi * (w - mean),
        lambda w, mean, psi: psi * (w - mean),
        lambda w, mean, psi: mean + psi * w,
        lambda w, mean, psi: w.mean(0) + psi * (w - w.mean(0)),  # the mean of these few
        lambda w, mean, psi: mean + (w - mean).clamp(-abs(psi), abs(psi)),
        lambda w, mean, psi: mean + max(psi, 0.0) * (w - mean),
        lambda w, mean, psi: mean + min(psi, 1.0) * (w - mean),
    ],
    "05-mix": [
        lambda coarse, fine, first, layers: mix(fine, coarse, first, layers),
        lambda coarse, fine, first, layers: mix(coarse, fine, layers - first, layers),
        lambda coarse, fine, first, layers: mix(coarse, fine, min(first + 1, layers), layers),
        lambda coarse, fine, first, layers: mix(coarse, fine, max(first - 1, 0), layers),
        lambda coarse, fine, first, layers: mix(coarse, fine, first, 10),  # always ten layers
        lambda coarse, fine, first, layers: mix(coarse, fine, 4, layers),
        lambda coarse, fine, first, layers: ((first * coarse + (layers - first) * fine) / layers)[:, None].repeat(
            1, layers, 1
        ),
        lambda coarse, fine, first, layers: mix(coarse[:1].expand_as(coarse), fine, first, layers),  # one person
        lambda coarse, fine, first, layers: mix(coarse, fine, first, layers).transpose(0, 1),
        lambda coarse, fine, first, layers: torch.where(torch.arange(5) < first, coarse, fine)[:, None].repeat(
            1, layers, 1
        ),  # the first numbers, not the first layers
    ],
}
