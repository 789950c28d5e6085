//! Drawings, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::{figure, ratio};
use crate::answer::{Drawn, Table};
use crate::peers::OURS;

const OWN: RGBColor = RGBColor(200, 72, 24);
const OTHERS: RGBColor = RGBColor(96, 125, 150);
const INK: RGBColor = RGBColor(60, 60, 60);
const FAINT: RGBColor = RGBColor(200, 200, 200);

/// Draws a table.
pub fn draw(file: &Path, table: &Table) {
    let drawn = match &table.drawn {
        Drawn::No => return,
        Drawn::Bars => bars(file, table),
        Drawn::Lines(what) => lines(file, table, what),
    };
    drawn.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn color(subject: &str) -> RGBColor {
    if subject.starts_with(OURS) { OWN } else { OTHERS }
}

fn text(size: i32, horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

/// A block for each case, with a bar for each subject: how many times as fast as the first.
fn bars(file: &Path, table: &Table) -> Result<(), Box<dyn Error>> {
    const ROW: i32 = 18;
    const LEFT: i32 = 220;
    const WIDTH: i32 = 760;
    const ROOM: i32 = WIDTH - LEFT - 70;
    let cases = table.cases();
    let rows: usize =
        cases.iter().map(|case| table.cells.iter().filter(|cell| cell.case == *case).count()).sum();
    let height = ROW * i32::try_from(rows)? + 34 * i32::try_from(cases.len())? + 50;
    let area = SVGBackend::new(file, (WIDTH.cast_unsigned(), height.cast_unsigned())).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(plain(&table.title), (10, 16), text(15, HPos::Left)))?;
    area.draw(&Text::new(
        "how many times as fast as the first; longer is better",
        (10, 36),
        text(11, HPos::Left),
    ))?;
    let mut y = 56;
    for case in cases {
        area.draw(&Text::new(plain(case), (10, y + 8), text(13, HPos::Left)))?;
        y += 24;
        let cells = table.cells.iter().filter(|cell| cell.case == case);
        let times: Vec<_> =
            cells.filter_map(|cell| Some((cell.subject.as_str(), table.times_as_fast(cell)?))).collect();
        let most = times.iter().map(|(_, times)| *times).fold(1.0, f64::max);
        let length = |times: f64| (times / most * f64::from(ROOM)) as i32;
        let top = y;
        for (subject, times) in &times {
            let middle = y + ROW / 2;
            area.draw(&Text::new(plain(subject), (LEFT - 8, middle), text(12, HPos::Right)))?;
            let bar = [(LEFT, y + 2), (LEFT + length(*times).max(1), y + ROW - 3)];
            area.draw(&Rectangle::new(bar, color(subject).filled()))?;
            let end = (LEFT + length(*times) + 6, middle);
            area.draw(&Text::new(ratio(*times), end, text(11, HPos::Left)))?;
            y += ROW;
        }
        let one = LEFT + length(1.0);
        area.draw(&PathElement::new([(one, top), (one, y)], FAINT.stroke_width(1)))?;
        y += 10;
    }
    area.present()?;
    Ok(())
}

/// A line for each subject, both axes in powers of ten.
fn lines(file: &Path, table: &Table, what: &str) -> Result<(), Box<dyn Error>> {
    const SIZE: (u32, u32) = (760, 420);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    // None of something has a place, too: beside one.
    let place = |case: &str| case.parse::<f64>().map(|number| number.max(0.5));
    let mut points = Vec::new();
    for subject in table.subjects() {
        let own = table.cells.iter().filter(|cell| cell.subject == subject);
        let own = own.map(|cell| Ok((place(&cell.case)?, cell.median())));
        points.push((subject, own.collect::<Result<Vec<(f64, f64)>, Box<dyn Error>>>()?));
    }
    let all = || points.iter().flat_map(|(_, points)| points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)))
    };
    let across = range(&mut all().map(|point| point.0));
    let up = range(&mut all().map(|point| point.1));
    let unit = table.cells.first().ok_or("there are figures")?.unit;
    let mut chart = ChartBuilder::on(&area)
        .caption(plain(&table.title), text(15, HPos::Left))
        .margin(12)
        .margin_right(190)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (across.0..across.1).log_scale(),
            (decade(up.0, f64::floor)..decade(up.1 * 1.01, f64::ceil)).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .x_desc(what)
        .x_label_formatter(&|x| {
            if *x < 1.0 { "0".to_owned() } else { figure(*x, crate::answer::Unit::Count) }
        })
        .y_label_formatter(&|y| figure(*y, unit))
        .label_style(text(11, HPos::Center))
        .draw()?;
    let (mut own, mut others) = (0, 0);
    let mut names = Vec::new();
    for (subject, points) in &points {
        let count = if subject.starts_with(OURS) { &mut own } else { &mut others };
        let style = color(subject).mix(1.0 / f64::from(1 + *count) + 0.2).stroke_width(2);
        *count += 1;
        chart.draw_series(LineSeries::new(points.clone(), style).point_size(3))?;
        names.extend(points.last().map(|end| (chart.backend_coord(end), plain(subject))));
    }
    names.sort_by_key(|((_, y), _)| *y);
    let mut above = i32::MIN;
    for ((x, y), name) in names {
        // Below the one before, where both would stand in the same place.
        above = y.max(above.saturating_add(14));
        area.draw(&Text::new(name, (x + 10, above), text(12, HPos::Left)))?;
    }
    area.present()?;
    Ok(())
}

/// The power of ten beside a figure.
fn decade(figure: f64, which: fn(f64) -> f64) -> f64 {
    10_f64.powf(which(figure.log10()))
}

/// Without what Markdown marks.
fn plain(text: &str) -> String {
    text.replace('`', "")
}
