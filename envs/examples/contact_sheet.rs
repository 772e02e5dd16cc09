//! Frames of every environment with images on one PNG: `cargo run --release --example contact_sheet -- FILE.png`.
//!
//! A row for each environment: first the goal, then frames along one sequence of data, each enlarged.

use std::fs::File;
use std::io::{BufWriter, Result};

use latent_lab_envs::{Cartpole, Environment, Images, Pendulum, Pendulum16, Planar};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Side of an enlarged frame, and the frames in a row.
const SIDE: usize = 160;
const FRAMES: usize = 8;
const GAP: usize = 4;

/// The frames of one environment from left to right, `[SIDE, FRAMES (SIDE + GAP)]`.
fn row<E: Environment + Images<State = <E as Environment>::State>>(environment: &E) -> Vec<u8> {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let (shape, mut state) = (environment.shape(), environment.scatter(rng));
    let mut pixels = vec![0; shape.len()];
    let width = FRAMES * (SIDE + GAP);
    let mut sheet = vec![128; (SIDE + GAP) * width];
    for frame in 0..FRAMES {
        match frame {
            0 => environment.render_goal(&environment.reset(rng), &mut pixels),
            _ => environment.render(&state, &mut pixels),
        }
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (i, j) = (y * shape.height / SIDE, x * shape.width / SIDE);
                let newest = (i * shape.width + j) * shape.frames + shape.frames - 1;
                sheet[y * width + frame * (SIDE + GAP) + x] = pixels[newest];
            }
        }
        environment.explore(&mut state, rng);
    }
    sheet
}

fn main() -> Result<()> {
    let Some(path) = std::env::args().nth(1) else {
        return Err(std::io::Error::other("expected the path of a PNG file to write"));
    };
    let sheet = [
        row(&Planar::default()),
        row(&Pendulum::default()),
        row(&Cartpole::default()),
        row(&Pendulum16::default()),
    ]
    .concat();
    let width = FRAMES * (SIDE + GAP);
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, width as u32, (sheet.len() / width) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&sheet)?;
    writer.finish()?;
    Ok(())
}
