"""Steps of CartPole and Pendulum, observation and resets included, against Gymnasium; transitions must agree."""

from .measure import Comparison, peer, rounds

# job: case, steps of ours and of Gymnasium's, episodes side by side, target.
CASES = {
    "cart_pole": ("CartPole-v1, one episode at a time", 3_000_000, 50_000, None, 1 / 50),
    "pendulum": ("Pendulum-v1, one episode at a time", 3_000_000, 30_000, None, 1 / 50),
    "cart_pole_batch": ("CartPole-v1, 64 episodes side by side", 200_000, 10_000, 64, 1 / 10),
}
TOLERANCE = 1e-9  # Gymnasium has some terms of the pendulum in f32


def measure(ours, folder, quick):
    gymnasium = peer("gymnasium")
    for job, (case, steps, their_steps, count, target) in CASES.items():
        if quick:
            steps, their_steps = steps // 5, their_steps // 5
        sized = {} if count is None else {"count": count}
        contestants = {
            "latent-lab": lambda: ours.ask(job, steps=steps, **sized)["seconds"] / steps,
            "Gymnasium": lambda: gymnasium.ask(job, steps=their_steps, **sized)["seconds"] / their_steps,
        }
        transitions = ours.ask(f"{job}_transitions", steps=1000, **sized)["transitions"]
        gap = gymnasium.ask(f"{job}_transitions", transitions=transitions)["gap"]
        values = {
            name: [1e9 * seconds / (count or 1) for seconds in each]
            for name, each in rounds(contestants, 2 if quick else 5).items()
        }
        yield Comparison(
            "Environments: one step of one episode", case, "ns", values, "latent-lab", {"Gymnasium": target},
            {"next states and rewards": (gap, TOLERANCE)},
        )
    gymnasium.stop()
