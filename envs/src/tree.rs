//! A tree in the road: drivers pass it on the left or on the right, and their average action hits it.
//!
//! A car drives at 1 m/s, metres and radians; a heading ψ of 0 points up the road. The policy's action is held for each
//! control interval, while the car moves by dx = sin ψ dt, dy = cos ψ dt. The tree is at (0, 5) with radius 1.4,
//! including the car's; the road is |x| ≤ 3.
//!
//! | action | observation | meaning |
//! |---|---|---|
//! | `heading` | (x, y) | the heading ψ ∈ ±1.4 rad: a decision that is fixed for one interval |
//! | `turn_rate` | (x, y, ψ) | ω ∈ ±3 rad/s, dψ = ω dt, ψ kept in ±1.4 rad: many small decisions, correctable later |
//!
//! Success: y ≥ 10 without touching the tree or leaving the road, within 30 s (30 decisions of one second). Reward is 1
//! on success and 0 otherwise. Start: x ~ N(0, 0.05²), y ~ U(0, 1), ψ = 0.
//!
//! The expert stays in the middle until y = 2.2, so the state does not reveal the side; then a fair coin, tossed once
//! per demonstration, decides it. Its target heading is
//! ψ* = atan2(−x, 1.5) for y < 2.2, atan2(±2.2 − x, 0.8) for y < 3.4, atan2(±2.2 − x, 1.5) for y < 6, then
//! atan2(−x, 1.8), plus noise N(0, 0.05²). With turn rates it reaches ψ* within 0.2 s,
//! or one interval where that is longer: ω = (ψ* − ψ) / 0.2 s.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::standard_normal;
use crate::{Control, Controller, Environment, Expert, Generator, Images, Points, Reference, Step, Yardsticks, check};

/// Position of the tree, m.
pub const TREE: [f64; 2] = [0.0, 5.0];
/// Radius of the tree plus that of the car, m.
pub const TREE_RADIUS: f64 = 1.4;
/// Half the width of the road, m.
pub const ROAD_HALF_WIDTH: f64 = 3.0;
/// The y of the goal, m.
pub const GOAL: f64 = 10.0;
/// Largest heading to either side, rad.
pub const LARGEST_HEADING: f64 = 1.4;
/// Largest turn rate to either side, rad/s.
pub const LARGEST_TURN_RATE: f64 = 3.0;
/// Time after which an episode is truncated, s.
pub const TIME_LIMIT: f64 = 30.0;

/// Substeps per second: at 1 m/s collisions are checked every 2 cm.
const SUBSTEPS: f64 = 50.0;
/// Speed, m/s.
const SPEED: f64 = 1.0;
/// Time in which the expert turns to its target heading, s.
const TURN_TIME: f64 = 0.2;

/// The action of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The heading, rad.
    Heading,
    /// The turn rate, rad/s.
    TurnRate,
}

/// A road with a tree in it, and demonstrations that pass the tree on either side; learn p(action | state).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tree {
    /// Time for which an action is held, s.
    #[schemars(range(min = 0.01, max = 5.0))]
    pub control_interval: f64,
    /// The action of the policy: the heading or the turn rate.
    pub action: Action,
    /// Standard deviation of the expert's heading noise, rad.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub heading_noise: f64,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            control_interval: 1.0,
            action: Action::Heading,
            heading_noise: 0.05,
        }
    }
}

/// The side on which the tree is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// x < 0.
    Left,
    /// x ≥ 0.
    Right,
}

impl Side {
    /// Either side by a fair coin.
    fn by_coin(rng: &mut dyn Rng) -> Self {
        if rng.random() { Side::Right } else { Side::Left }
    }

    /// −1 for left, +1 for right.
    pub fn sign(self) -> f64 {
        match self {
            Side::Left => -1.0,
            Side::Right => 1.0,
        }
    }
}

/// How an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// y ≥ 10 without a collision.
    Success,
    /// Touched the tree.
    HitTree,
    /// |x| > 3.
    LeftRoad,
    /// 30 s passed; the only outcome that truncates.
    OutOfTime,
    /// The policy's action was not a number.
    InvalidAction,
}

/// The car at a decision, or at the end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Waypoint {
    /// Across the road, m; negative is left.
    pub x: f64,
    /// Along the road, m.
    pub y: f64,
    /// Heading, rad; 0 is along the road, positive to the right.
    pub heading: f64,
}

/// The state of one episode.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The car now.
    pub car: Waypoint,
    /// The car at the start and after every decision. Between them, headings give lines, turn rates arcs.
    pub path: Vec<Waypoint>,
    /// Decisions taken.
    pub decisions: usize,
    /// The side on which the car passed the middle of the tree; none before that.
    pub side: Option<Side>,
    /// How the episode ended; none before that.
    pub outcome: Option<Outcome>,
}

impl State {
    /// A car that starts here.
    pub fn at(x: f64, y: f64, heading: f64) -> Self {
        let car = Waypoint { x, y, heading };
        Self {
            car,
            path: vec![car],
            decisions: 0,
            side: None,
            outcome: None,
        }
    }

    /// Whether the car reached the goal.
    pub fn success(&self) -> bool {
        self.outcome == Some(Outcome::Success)
    }
}

impl Tree {
    /// The expert's action with the car here, to pass on `side`.
    pub fn expert_action(&self, car: Waypoint, side: Side, rng: &mut dyn Rng) -> f64 {
        let Waypoint { x, y, heading } = car;
        let beside = side.sign() * 2.2; // m
        let (towards, ahead): (f64, f64) = match y {
            y if y < 2.2 => (0.0, 1.5),
            y if y < 3.4 => (beside, 0.8),
            y if y < 6.0 => (beside, 1.5),
            _ => (0.0, 1.8),
        };
        let target = (towards - x).atan2(ahead) + self.heading_noise * standard_normal(rng);
        let target = target.clamp(-LARGEST_HEADING, LARGEST_HEADING);
        match self.action {
            Action::Heading => target,
            Action::TurnRate => {
                let gap = target - heading;
                (gap / TURN_TIME.max(self.control_interval)).clamp(-LARGEST_TURN_RATE, LARGEST_TURN_RATE)
            }
        }
    }

    /// One demonstration: the expert's episode, its observations `[n, C]` and actions `[n, 1]`.
    fn demonstrate(&self, rng: &mut dyn Rng) -> (State, Points) {
        let side = Side::by_coin(rng);
        let mut state = self.reset(rng);
        let mut points = Points::default();
        let mut observation = vec![0.0; self.observation_size()];
        while state.outcome.is_none() {
            let action = self.expert_action(state.car, side, rng);
            self.observe(&state, &mut observation);
            points.given.extend_from_slice(&observation);
            points.observed.push(action);
            points.labels.push(side as usize);
            self.step(&mut state, &[action]);
        }
        (state, points)
    }

    /// `count` demonstrations, one trajectory after the other. Given are (x, y) or (x, y, heading), observed is the
    /// action, and the label is 0 for left and 1 for right. A trajectory has a row per decision, about 12 at one
    /// second.
    pub fn demonstrations(&self, count: usize, rng: &mut dyn Rng) -> Points {
        let mut all = Points::default();
        for episode in 0..count {
            let (_, points) = self.demonstrate(rng);
            all.episodes.extend(points.observed.iter().map(|_| episode));
            all.observed.extend(points.observed);
            all.given.extend(points.given);
            all.labels.extend(points.labels);
        }
        all
    }

    /// `count` episodes of the expert, for figures.
    pub fn demonstrated_paths(&self, count: usize, rng: &mut dyn Rng) -> Vec<State> {
        (0..count).map(|_| self.demonstrate(rng).0).collect()
    }
}

impl Environment for Tree {
    type State = State;

    fn fault(&self) -> Option<String> {
        Generator::check(self).err()
    }

    fn observation(&self) -> Vec<&'static str> {
        match self.action {
            Action::Heading => vec!["x", "y"],
            Action::TurnRate => vec!["x", "y", "heading"],
        }
    }

    fn action(&self) -> Vec<Control> {
        let name = match self.action {
            Action::Heading => "heading",
            Action::TurnRate => "turn_rate",
        };
        let limit = self.largest_action();
        vec![Control {
            name,
            low: -limit,
            high: limit,
        }]
    }

    fn horizon(&self) -> usize {
        (TIME_LIMIT / self.control_interval).ceil() as usize
    }

    fn reward_unit(&self) -> &'static str {
        "arrivals"
    }

    fn success_rule(&self) -> Option<&'static str> {
        Some("the car reaches y = 10 without touching the tree at (0, 5) and without leaving the road |x| ≤ 3")
    }

    fn success(&self, state: &State) -> Option<bool> {
        Some(state.success())
    }

    fn routes(&self) -> Vec<&'static str> {
        vec!["left", "right"]
    }

    fn route(&self, state: &State) -> Option<usize> {
        state.side.map(|side| side as usize)
    }

    fn expert(&self) -> Option<&dyn Expert> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn Images<State = State>> {
        None
    }

    fn reset(&self, rng: &mut dyn Rng) -> State {
        State::at(0.05 * standard_normal(rng), rng.random(), 0.0)
    }

    fn observe(&self, state: &State, into: &mut [f64]) {
        let Waypoint { x, y, heading } = state.car;
        into.copy_from_slice(&[x, y, heading][..into.len()]);
    }

    fn step(&self, state: &mut State, action: &[f64]) -> Step {
        if state.outcome.is_none() {
            self.decide(state, action[0]);
            return Step {
                reward: f64::from(u8::from(state.success())),
                ..self.ending(state)
            };
        }
        self.ending(state)
    }

    /// Success rates. The random one was measured over 10⁶ episodes (headings) and 10⁵ (turn rates), standard errors
    /// 0.0003 and 0.0007, and is omitted for other control intervals.
    fn yardsticks(&self) -> Yardsticks {
        let random = match self.action {
            Action::Heading if self.control_interval == 1.0 => Some(0.073),
            Action::TurnRate if self.control_interval == 0.1 => Some(0.048),
            _ => None,
        };
        let random = random.map(|value| Reference {
            name: "random",
            value,
            text: "success rate of uniform actions",
        });
        let expert = Reference {
            name: "oracle",
            value: 1.0,
            text: "success rate of the expert",
        };
        let success_rates: Vec<Reference> = [expert].into_iter().chain(random).collect();
        // The reward is 1 on success, so the mean return is the success rate.
        Yardsticks {
            returns: success_rates.clone(),
            success_rates,
        }
    }
}

impl Expert for Tree {
    fn begin<'a>(&'a self, rng: &mut dyn Rng) -> Controller<'a> {
        let side = Side::by_coin(rng);
        Box::new(move |observation, rng| {
            let at = |i: usize| observation.get(i).copied().unwrap_or(0.0);
            let car = Waypoint {
                x: at(0),
                y: at(1),
                heading: at(2),
            };
            vec![self.expert_action(car, side, rng)]
        })
    }
}

impl Tree {
    /// Largest action to either side, rad or rad/s.
    fn largest_action(&self) -> f64 {
        match self.action {
            Action::Heading => LARGEST_HEADING,
            Action::TurnRate => LARGEST_TURN_RATE,
        }
    }

    fn ending(&self, state: &State) -> Step {
        let truncated = state.outcome == Some(Outcome::OutOfTime);
        Step {
            reward: 0.0,
            terminated: state.outcome.is_some() && !truncated,
            truncated,
        }
    }

    /// Holds `action` for one control interval, or until the episode ends.
    fn decide(&self, state: &mut State, action: f64) {
        state.decisions += 1;
        if action.is_nan() {
            state.outcome = Some(Outcome::InvalidAction);
            return;
        }
        let limit = self.largest_action();
        let action = action.clamp(-limit, limit);
        if self.action == Action::Heading {
            state.car.heading = action;
        }
        let substeps = (SUBSTEPS * self.control_interval).ceil().max(1.0) as usize;
        let dt = self.control_interval / substeps as f64;
        for _ in 0..substeps {
            if self.action == Action::TurnRate {
                state.car.heading = (state.car.heading + action * dt).clamp(-LARGEST_HEADING, LARGEST_HEADING);
            }
            state.advance(dt);
            if state.outcome.is_some() {
                break;
            }
        }
        state.path.push(state.car);
        if state.outcome.is_none() && state.decisions >= self.horizon() {
            state.outcome = Some(Outcome::OutOfTime);
        }
    }
}

impl State {
    /// Moves the car for `dt` seconds and checks for an outcome.
    fn advance(&mut self, dt: f64) {
        let Waypoint { x, y, heading } = &mut self.car;
        *x += SPEED * heading.sin() * dt;
        *y += SPEED * heading.cos() * dt;
        if self.side.is_none() && *y >= TREE[1] {
            self.side = Some(if *x < TREE[0] { Side::Left } else { Side::Right });
        }
        if (*x - TREE[0]).hypot(*y - TREE[1]) <= TREE_RADIUS {
            self.outcome = Some(Outcome::HitTree);
        } else if x.abs() > ROAD_HALF_WIDTH {
            self.outcome = Some(Outcome::LeftRoad);
        } else if *y >= GOAL {
            self.outcome = Some(Outcome::Success);
        }
    }
}

impl Generator for Tree {
    fn name(&self) -> &'static str {
        "tree"
    }

    fn observed(&self) -> Vec<String> {
        let controls = Environment::action(self).into_iter();
        controls.map(|control| control.name.to_owned()).collect()
    }

    fn given(&self) -> Vec<String> {
        let names = self.observation().into_iter();
        names.map(String::from).collect()
    }

    fn check(&self) -> Result<(), String> {
        check::positive("control_interval", self.control_interval, 1.0)?;
        if !self.heading_noise.is_finite() || self.heading_noise < 0.0 {
            return Err(format!(
                "`heading_noise` should be a finite number of at least 0, got {}: try 0.05",
                self.heading_noise
            ));
        }
        Ok(())
    }

    /// Draws `rows` demonstrations: trajectories of several rows each.
    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        self.demonstrations(rows, rng)
    }

    /// None: the side is hidden, and its probability given a state has no closed form.
    fn references(&self) -> Vec<Reference> {
        vec![]
    }
}

#[cfg(test)]
mod tests;
