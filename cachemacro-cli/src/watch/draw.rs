//! The screen.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, TableState};

use super::state::{Column, Pane, SiteRow, Watch};
use crate::text;

/// Below this width a column is left out.
const WIDE: u16 = 100;

pub(crate) fn draw(frame: &mut Frame<'_>, watch: &Watch) {
    let [head, past, sites, pane, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(4),
        Constraint::Min(4),
        Constraint::Length(7),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, watch, head);
    draw_past(frame, watch, past);
    draw_sites(frame, watch, sites);
    draw_pane(frame, watch, pane);
    draw_foot(frame, watch, foot);
}

/// This color, or none where colors are off.
fn colored(watch: &Watch, color: Color) -> Style {
    if watch.colors { Style::new().fg(color) } else { Style::new() }
}

const fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn draw_head(frame: &mut Frame<'_>, watch: &Watch, area: Rect) {
    let all = watch.total();
    let late = watch.processes.values().filter(|process| watch.is_late(process)).count();
    let mut spans = vec![
        Span::styled(format!(" {} ", text::shown(&watch.namespace)), bold()),
        Span::raw(match watch.processes.len() {
            1 => " 1 process".to_owned(),
            many => format!(" {many} processes"),
        }),
    ];
    if late > 0 {
        spans.push(Span::styled(format!(", {late} late"), colored(watch, Color::Yellow)));
    }
    spans.push(Span::raw(format!(
        "  {} reads/s  hit_rate {}  {} loads/s  {} errors",
        rate(all.reads),
        share(all.hit_rate),
        rate(all.loads),
        all.errors
    )));
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

fn draw_past(frame: &mut Frame<'_>, watch: &Watch, area: Rect) {
    let halves: [Rect; 2] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    let reads: Vec<u64> = watch.past.iter().map(|(reads, _)| *reads).collect();
    let misses: Vec<u64> = watch.past.iter().map(|(_, misses)| *misses).collect();
    for (area, name, data, color) in
        [(halves[0], "reads/s", reads, Color::Green), (halves[1], "misses/s", misses, Color::Red)]
    {
        let block = Block::new().borders(Borders::TOP).title(format!(" {name} "));
        let room = usize::from(area.width);
        // The newest stand at the right edge.
        let shown = &data[data.len().saturating_sub(room)..];
        let most = shown.iter().copied().max().unwrap_or_default();
        let block = block.title(Line::from(format!(" most {most} ")).alignment(Alignment::Right));
        let line = Sparkline::default().block(block).data(shown.to_vec()).style(colored(watch, color));
        frame.render_widget(line, area);
    }
}

fn draw_sites(frame: &mut Frame<'_>, watch: &Watch, area: Rect) {
    let rows = watch.sites();
    let mut columns = vec![
        (Column::Site, Constraint::Min(12)),
        (Column::Reads, Constraint::Length(9)),
        (Column::HitRate, Constraint::Length(9)),
        (Column::Misses, Constraint::Length(9)),
        (Column::Loads, Constraint::Length(8)),
        (Column::LoadP99, Constraint::Length(9)),
        (Column::Errors, Constraint::Length(7)),
    ];
    if area.width >= WIDE {
        columns.push((Column::TimeSaved, Constraint::Length(12)));
    }
    let others: u16 = columns[1..]
        .iter()
        .map(|(_, width)| if let Constraint::Length(width) = width { width + 1 } else { 0 })
        .sum();
    let room = usize::from(area.width.saturating_sub(others));
    let heads = columns.iter().map(|(column, _)| {
        let mark = match (*column == watch.sorted_by, watch.ascending) {
            (false, _) => "",
            (true, true) => "^",
            (true, false) => "v",
        };
        let name = format!("{}{mark}", column.name());
        let line = Line::from(name);
        Cell::from(if *column == Column::Site { line } else { line.alignment(Alignment::Right) })
    });
    let header = Row::new(heads).style(bold());
    let cells = |row: &SiteRow| {
        let cell = |column: &Column| {
            let text = match column {
                Column::Site => return Cell::from(end_of(&text::shown(&row.site), room)),
                Column::Reads => rate(row.reads),
                Column::HitRate => share(row.hit_rate),
                Column::Misses => rate(row.misses),
                Column::Loads => rate(row.loads),
                Column::LoadP99 => row.load_p99.map_or_else(|| "-".to_owned(), text::time),
                Column::Errors => row.errors.to_string(),
                Column::TimeSaved => text::time(row.time_saved),
            };
            let style = if *column == Column::Errors && row.errors > 0 {
                colored(watch, Color::Red)
            } else {
                Style::new()
            };
            Cell::from(Line::from(text).alignment(Alignment::Right)).style(style)
        };
        Row::new(columns.iter().map(|(column, _)| cell(column)).collect::<Vec<_>>())
    };
    let widths: Vec<Constraint> = columns.iter().map(|(_, width)| *width).collect();
    let marked = Style::new().add_modifier(Modifier::REVERSED);
    let table = Table::new(rows.iter().map(cells).collect::<Vec<_>>(), widths)
        .header(header)
        .row_highlight_style(marked);
    let mut state = TableState::new().with_selected((!rows.is_empty()).then(|| watch.at.min(rows.len() - 1)));
    frame.render_stateful_widget(table, area, &mut state);
}

/// The end of a name that is too long: the function's own name is at the end.
fn end_of(name: &str, room: usize) -> String {
    let length = name.chars().count();
    if length <= room {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length + 1 - room.max(1)).collect();
    format!("…{end}")
}

fn draw_pane(frame: &mut Frame<'_>, watch: &Watch, area: Rect) {
    let titles = Pane::ALL.iter().map(|pane| {
        let style = if *pane == watch.pane { bold().add_modifier(Modifier::REVERSED) } else { Style::new() };
        Span::styled(format!(" {} ", pane.name()), style)
    });
    let block = Block::new().borders(Borders::TOP).title(Line::from(titles.collect::<Vec<_>>()));
    let room = usize::from(area.height.saturating_sub(1));
    let lines: Vec<Line<'_>> = match watch.pane {
        Pane::Reasons => reasons(watch),
        Pane::Processes => processes(watch),
        Pane::Server => server(watch),
    };
    let left = lines.len().saturating_sub(room);
    let mut lines: Vec<Line<'_>> = lines.into_iter().take(room).collect();
    if left > 0
        && let Some(last) = lines.last_mut()
    {
        *last = Line::from(format!(" … {} more", left + 1));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn reasons(watch: &Watch) -> Vec<Line<'static>> {
    let reasons = watch.reasons();
    if reasons.is_empty() {
        return vec![Line::from(" no misses lately")];
    }
    let all: f64 = reasons.iter().map(|(_, rate)| rate).sum();
    let line = |(reason, of): &(String, f64)| {
        let reason = text::shown(reason);
        Line::from(format!(" {reason:<16}{:>10}/s{:>10}", rate(Some(*of)), share(Some(of / all))))
    };
    reasons.iter().map(line).collect()
}

fn processes(watch: &Watch) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled(
        format!(
            " {:<18}{:>9}{:>10}{:>10}{:>11}{:>6}{:>12}",
            "instance", "process", "reads/s", "hit_rate", "breaker", "kept", "reported"
        ),
        bold(),
    )];
    for process in watch.processes.values() {
        let (report, row) = (&process.report, Watch::of_process(process));
        #[expect(clippy::cast_precision_loss, reason = "a time that is shown")]
        let age = watch.age(process) as f64 / 1_000.0;
        let instance = end_of(&text::shown(&report.instance), 17);
        let breaker = text::shown(report.breaker.as_deref().unwrap_or("-"));
        let line = format!(
            " {instance:<18}{:>9}{:>10}{:>10}{breaker:>11}{:>6}{:>12}",
            report.process,
            rate(row.reads),
            share(row.hit_rate),
            report.kept_evicts,
            format!("{} ago", text::time(age)),
        );
        let is_ill =
            watch.is_late(process) || report.breaker.as_deref().is_some_and(|breaker| breaker != "closed");
        let style = if is_ill { colored(watch, Color::Yellow) } else { Style::new() };
        lines.push(Line::styled(line, style));
    }
    lines
}

fn server(watch: &Watch) -> Vec<Line<'static>> {
    let Some(server) = &watch.server else { return vec![Line::from(" nothing is known of the server")] };
    let limit = if server.max_memory == 0 { "no limit".to_owned() } else { text::bytes(server.max_memory) };
    let full = if server.is_full() { ", full" } else { "" };
    vec![
        Line::from(format!(" role          {}", text::shown(&server.role))),
        Line::from(format!(" memory        {} of {limit}{full}", text::bytes(server.used_memory))),
        Line::from(format!(" policy        {}", text::shown(&server.policy))),
        Line::from(format!(" evicted_keys  {}", server.evicted_keys)),
    ]
}

fn draw_foot(frame: &mut Frame<'_>, watch: &Watch, area: Rect) {
    let line = if watch.filtering {
        Line::from(format!(" filter: {}_   Enter keeps it, Esc clears it", text::shown(&watch.filter)))
    } else if let Some(problem) = &watch.problem {
        Line::styled(
            format!(" {} (shown is what was known)", text::shown(problem)),
            colored(watch, Color::Red),
        )
    } else if watch.processes.is_empty() {
        Line::from(" no process reported within 30 s; the first report comes 10 s after a start")
    } else if watch.total().reads.is_none() {
        Line::from(" rates come with the second report of a process")
    } else {
        let filter = match watch.filter.as_str() {
            "" => String::new(),
            filter => format!("   filter: {}", text::shown(filter)),
        };
        Line::from(format!(" q quit  s sort  r reverse  / filter  Tab {}{filter}", "next pane"))
    };
    frame.render_widget(Paragraph::new(line), area);
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::{Path, PathBuf};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::fleet::Fleet;
    use crate::watch::state::tests::report;

    fn screen(watch: &Watch, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a backend in memory");
        terminal.draw(|frame| draw(frame, watch)).expect("it is drawn");
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> String {
        let area = buffer.area;
        let line =
            |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..area.height).map(line).collect::<Vec<_>>().join("\n") + "\n"
    }

    /// As a picture, for the guide.
    fn picture(buffer: &Buffer) -> String {
        let area = buffer.area;
        let (width, height) = (f64::from(area.width) * 8.4 + 20.0, f64::from(area.height) * 17.0 + 20.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#16181d\"/>\n"
        );
        for y in 0..area.height {
            for x in 0..area.width {
                let cell = &buffer[(x, y)];
                let (left, top) = (f64::from(x) * 8.4 + 10.0, f64::from(y) * 17.0 + 10.0);
                let fill = match cell.fg {
                    Color::Green => "#7ec87e",
                    Color::Red => "#e07070",
                    Color::Yellow => "#e0c060",
                    _ => "#d8dce4",
                };
                let is_reversed = cell.modifier.contains(Modifier::REVERSED);
                if is_reversed {
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"8.5\" height=\"17\" fill=\"{fill}\"/>"
                    );
                }
                if cell.symbol() == " " {
                    continue;
                }
                let fill = if is_reversed { "#16181d" } else { fill };
                let weight =
                    if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
                let symbol = cell.symbol().replace('&', "&amp;").replace('<', "&lt;");
                let _ = writeln!(
                    svg,
                    "<text x=\"{left:.1}\" y=\"{:.1}\" fill=\"{fill}\"{weight}>{symbol}</text>",
                    top + 13.0
                );
            }
        }
        svg + "</svg>\n"
    }

    fn watched(colors: bool) -> Watch {
        let mut watch = Watch::new("shop".to_owned(), colors);
        let mut done = 0;
        for second in 0..40_u64 {
            done += 200 + (second * second * 37) % 500;
            let mut two = report("b7e1", 10 * second, done / 2);
            two.sites[0].figures.errors.insert("timeout".to_owned(), 3);
            let reports = vec![report("a3f0", 10 * second, done), two];
            watch.take(10_000 * second, Fleet { reports, ..Fleet::default() }, None);
        }
        watch.server = Some(cachemacro::store::ServerFigures::from_info(
            "role:master\r\nused_memory:73400320\r\nmaxmemory:104857600\r\nmaxmemory_policy:allkeys-lru\r\nevicted_keys:12\r\n",
        ));
        watch
    }

    fn is_golden(name: &str, text: &str) {
        // The picture is the guide's.
        let folder = if Path::new(name).extension().is_some_and(|extension| extension == "svg") {
            "../docs/cli"
        } else {
            "tests/golden"
        };
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, text).expect("it can be written");
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap_or_default(), "{name}");
    }

    #[test]
    fn screens_are_as_they_were() {
        let mut watch = watched(false);
        is_golden("watch-80x24.txt", &lines(&screen(&watch, 80, 24)));
        is_golden("watch-120x30.txt", &lines(&screen(&watch, 120, 30)));
        watch.pane = Pane::Processes;
        watch.now += 20_000;
        watch.problem = Some("connect: nobody listens there".to_owned());
        is_golden("watch-lost.txt", &lines(&screen(&watch, 80, 24)));
        watch.problem = None;
        (watch.pane, watch.filtering, watch.filter) = (Pane::Server, true, "users".to_owned());
        is_golden("watch-filter.txt", &lines(&screen(&watch, 80, 24)));
        let nothing = Watch::new("shop".to_owned(), false);
        is_golden("watch-empty.txt", &lines(&screen(&nothing, 80, 24)));
        is_golden("watch.svg", &picture(&screen(&watched(true), 100, 26)));
    }

    #[test]
    fn no_size_and_no_name_breaks_it() {
        let mut watch = watched(true);
        let mut hostile = report("\u{1b}[2J", 1, 1);
        hostile.sites[0].site = "\u{1b}]0;x\u{7}".repeat(50);
        hostile.breaker = Some("\u{202e}".to_owned());
        watch.take(0, Fleet { reports: vec![hostile], ..Fleet::default() }, None);
        for (width, height) in [(1, 1), (3, 2), (20, 5), (80, 24), (300, 90)] {
            for pane in Pane::ALL {
                watch.pane = pane;
                let told = lines(&screen(&watch, width, height));
                assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{told:?}");
            }
        }
    }

    #[test]
    fn without_colors_nothing_is_colored() {
        let buffer = screen(&watched(false), 80, 24);
        assert!(buffer.content().iter().all(|cell| matches!(cell.fg, Color::Reset)));
    }
}
