"""The exercises of lesson 05 and their solutions; tools/solutions.py reads this file."""

from torch.nn.functional import softplus

from latentlib.exercises import check


# %% 05-step
def gan_step(artist, critic, real, z, artist_optimizer, critic_optimizer):
    """Train both once: the critic on real points (n, 2) and drawn ones, then the artist."""
    drawn = artist(z)
    loss = softplus(-critic(real)).mean() + softplus(critic(drawn.detach())).mean()  #: loss = ...
    critic_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()
    loss = softplus(-critic(drawn)).mean()  #: loss = ...
    artist_optimizer.zero_grad()
    loss.backward()
    artist_optimizer.step()


check("05-step", gan_step)


# %% 05-truncate
def truncate(w, mean, psi):
    """Codes (n, d), or (n, layers, d), moved towards the mean (d,): psi 1 leaves them, 0 gives the mean."""
    return mean + psi * (w - mean)  #: return ...


check("05-truncate", truncate)


# %% 05-mix
def mix(coarse, fine, first, layers):
    """The first layers from one w, the rest from another: (n, d), (n, d) -> (n, layers, d)."""
    codes = fine[:, None].repeat(1, layers, 1)  # the fine one for all layers  #: codes = ...
    codes[:, :first] = coarse[:, None]  #:
    return codes


check("05-mix", mix)
