"""Adversarial models: players that own networks and an optimizer each, trained by `fit` through `train_step`.

`AdversarialModel` is what every GAN of the package shares. `LatentGAN` plays the usual game of a generator that turns
noise into images against a critic; what differs between papers (loss, penalty, constraint) is passed in as functions.
A model that plays another game writes its own `train_step` in its paper's folder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

Logs = dict[str, tf.Tensor]


class ReplicaSeeds(keras.random.SeedGenerator):
    """Keras's seed generator, whose seeds differ between the replicas of a strategy: else all draw the same noise.

    On one device it gives Keras's own seeds.
    """

    def next(self, ordered: bool = True) -> tf.Tensor:
        seed, replica = super().next(ordered), tf.distribute.get_replica_context()
        number = 0 if replica is None else replica.replica_id_in_sync_group
        # Not in the second element, which counts the draws: a replica would repeat what another has drawn before.
        return seed + tf.cast(tf.stack([number * _APART, 0]), seed.dtype)


_APART = 1_000_003  # between the seeds of two replicas


class AdversarialModel(keras.Model):
    """Networks grouped into players, each with an optimizer of its own.

    Args:
        players: name -> the networks that this player's optimizer moves. No network belongs to two players.
        losses: the names of the values that `train_step` reports; their means over an epoch are its logs.
        followers: name -> a network that no optimizer moves, such as a running average of another.
    """

    def __init__(
        self,
        players: Mapping[str, Sequence[keras.Model]],
        losses: Sequence[str],
        followers: Mapping[str, keras.Model] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.players = {name: list(networks) for name, networks in players.items()}
        self.followers = dict(followers or {})
        self.optimizers: dict[str, keras.optimizers.Optimizer] = {}
        self.loss_means = [keras.metrics.Mean(name=name) for name in losses]

    def compile(self, optimizers: Mapping[str, keras.optimizers.Optimizer], jit_compile: bool = False) -> None:
        """Give each player its optimizer.

        The optimizers are built here, on their players' variables: one that is first built by its first step would
        have nothing to restore into, and a resumed run would begin with fresh moments without a word.
        """
        if set(optimizers) != set(self.players):
            raise ValueError(f"expected one optimizer for each of {sorted(self.players)}, got {sorted(optimizers)}")
        # optimizer=None: Keras would otherwise make an RMSprop that nobody asked for.
        super().compile(optimizer=None, jit_compile=jit_compile)
        self.optimizers = dict(optimizers)
        for name, optimizer in optimizers.items():
            optimizer.build(self.trainable_of(name))
        self.built = True  # the networks come built

    def _maybe_symbolic_build(self, iterator=None, data_batch=None) -> None:
        """Nothing: under a strategy Keras would take a batch from the data to build the model, which comes built.

        The batch would be lost to training, and for several workers Keras 3.15 fails on batches that are dictionaries.
        """

    def trainable_of(self, player: str) -> list[keras.Variable]:
        """The variables that a player's optimizer moves."""
        return [variable for network in self.players[player] for variable in network.trainable_variables]

    def gradients(self, player: str, loss: tf.Tensor, tape: tf.GradientTape) -> list[tf.Tensor]:
        """The gradients of `loss` with respect to a player's variables and to nothing else.

        `tape` must have been left, so that it does not record its own gradients. Optimizers sum over replicas, so
        each replica contributes its share of the mean.
        """
        share = tf.ones_like(loss) / self.replicas()
        return tape.gradient(loss, [v.value for v in self.trainable_of(player)], output_gradients=share)

    def apply(self, player: str, gradients: Sequence[tf.Tensor]) -> None:
        """One step of a player's optimizer."""
        self.optimizers[player].apply(gradients, self.trainable_of(player))

    def report(self, values: Mapping[str, tf.Tensor]) -> Logs:
        """Update the running means of the losses and return them as the step's logs."""
        for mean in self.loss_means:
            mean.update_state(values[mean.name])
        # Shape (1,) where several workers train: Keras concatenates their logs along axis 0, which scalars lack.
        # The epoch's logs are read from the metrics and are scalars either way.
        shape = (1,) if self.replicas() > 1 else ()
        return {mean.name: tf.reshape(mean.result(), shape) for mean in self.loss_means}

    @staticmethod
    def replicas() -> int:
        """How many replicas share a step."""
        return tf.distribute.get_strategy().num_replicas_in_sync

    def state(self) -> dict[str, keras.Variable]:
        """Every variable that decides how training goes on, by a stable name.

        Networks, optimizers' moments and step counts, random number generators, and the epoch's running means. Names
        count variables in their network's order: Keras's own names count the layers made in the process so far.
        """
        groups = {
            f"{player}/{i}": network.variables  # in the order of the network's `get_weights`
            for player, networks in self.players.items()
            for i, network in enumerate(networks)
        }
        groups |= {f"{name}/0": network.variables for name, network in self.followers.items()}
        groups |= {f"{player}/optimizer": optimizer.variables for player, optimizer in self.optimizers.items()}
        own = {id(variable) for variables in groups.values() for variable in variables}
        groups["model"] = [v for v in self.variables + self.metrics_variables if id(v) not in own]
        return {f"{group}/{i:03}": v for group, variables in groups.items() for i, v in enumerate(variables)}


@dataclass(frozen=True)
class Game:
    """What a generator and a critic play for: pure functions of float32 logits.

    `critic_loss(real, fake)` and `generator_loss(fake)` return scalars. `penalty(critic, real, fake, alpha)`, added to
    the critic's loss, gets one alpha, uniform in [0, 1], per image. `constrain(variables)` runs after each critic step.
    """

    critic_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator_loss: Callable[[tf.Tensor], tf.Tensor]
    penalty: Callable[..., tf.Tensor] | None = None
    constrain: Callable[[Sequence[keras.Variable]], None] | None = None


class LatentGAN(AdversarialModel):
    """A generator from noise against a critic.

    `fit` it on batches of real images (critic_steps * batch, h, w, c): each critic step takes a fresh batch of them,
    then the generator makes its step with fresh noise. Noise is standard normal of `latent_size`.

    With `average` d > 0 a second generator, `averaged`, follows the first one's weights w as d w' + (1 - d) w after
    every step (Yazici et al. 2019, "The unusual effectiveness of averaging in GAN training").
    """

    def __init__(
        self,
        generator: keras.Model,
        critic: keras.Model,
        game: Game,
        *,
        latent_size: int,
        critic_steps: int = 1,
        average: float = 0.0,
        seed: int,
        losses: Sequence[str] = ("generator_loss", "critic_loss"),
    ):
        averaged = copied(generator) if average else None
        super().__init__(
            {"generator": [generator], "critic": [critic]},
            losses,
            {"averaged": averaged} if average else None,
        )
        self.generator, self.critic, self.game = generator, critic, game
        self.averaged, self.average = averaged, average
        self.latent_size, self.critic_steps = latent_size, critic_steps
        self.random = ReplicaSeeds(seed)

    def train_step(self, reals: tf.Tensor) -> Logs:
        batches = tf.split(reals, self.critic_steps)
        for real in batches:
            critic_loss = self.critic_step(real)
        generator_loss = self.generator_step(tf.shape(batches[0])[0])
        return self.report({"generator_loss": generator_loss, "critic_loss": critic_loss})

    def critic_step(self, real: tf.Tensor) -> tf.Tensor:
        """One update of the critic on real images (n, h, w, c) and as many generated ones; returns its loss."""
        size = tf.shape(real)[0]
        fake = self.generator(self.noise(size), training=True)
        with tf.GradientTape() as tape:
            loss = self.game.critic_loss(self.critic(real, training=True), self.critic(fake, training=True))
            if self.game.penalty is not None:
                alpha = keras.random.uniform((size, 1, 1, 1), seed=self.random)
                loss += self.game.penalty(self.critic, real, fake, alpha)
        self.apply("critic", self.gradients("critic", loss, tape))
        if self.game.constrain is not None:
            self.game.constrain(self.trainable_of("critic"))
        return loss

    def generator_step(self, size: tf.Tensor) -> tf.Tensor:
        """One update of the generator on `size` noise vectors; returns its loss."""
        with tf.GradientTape() as tape:
            fake = self.generator(self.noise(size), training=True)
            loss = self.game.generator_loss(self.critic(fake, training=True))
        self.apply("generator", self.gradients("generator", loss, tape))
        self.follow()
        return loss

    def follow(self) -> None:
        """Move the running average, if there is one, after a step of the generator."""
        if self.averaged is not None:
            for mean, variable in zip(self.averaged.variables, self.generator.variables, strict=True):
                mean.assign(self.average * mean + (1 - self.average) * variable)

    def noise(self, size: tf.Tensor | int) -> tf.Tensor:
        """(size, latent_size) standard normal numbers from the model's own, checkpointed, generator."""
        return keras.random.normal((size, self.latent_size), seed=self.random)


def copied(network: keras.Model) -> keras.Model:
    """The same network with the same weights in variables of its own."""
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    return twin
