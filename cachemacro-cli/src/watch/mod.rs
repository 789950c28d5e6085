//! `stats --watch`: the fleet's figures as they change, on a whole screen, or as rows where there is none.

mod draw;
mod state;

use std::env;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use cachemacro::store::ServerFigures;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::state::{Column, Pane, Watch};
use crate::args::{Args, Format, WatchArgs};
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::place::Place;
use crate::servers;
use crate::table::{Cell, Table};
use crate::text;

/// How long to wait for a key at a time.
const KEYS: Duration = Duration::from_millis(100);

pub(crate) async fn watch(args: &Args, how: &WatchArgs) -> Done {
    if !args.place.from.is_empty() {
        return Err(Failure::Usage("--watch asks the server again and again: not with --from".to_owned()));
    }
    let place = Place::new(&args.place)?;
    let colors = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let watch = Watch::new(place.shown_namespace(), colors);
    let on_screen = args.output.format == Format::Table && args.output.output.is_none();
    if on_screen && io::stdout().is_terminal() && io::stdin().is_terminal() {
        // Puts the terminal back where it panics, too.
        let mut terminal = ratatui::try_init()?;
        let done = on_terminal(&place, watch, how, &mut terminal).await;
        ratatui::try_restore()?;
        done
    } else {
        as_rows(args, &place, watch, how).await
    }
}

/// What the server knows now.
async fn look(place: &Place) -> Result<(u64, Fleet, Option<ServerFigures>), Failure> {
    let now = place.inspector.time().await?.millis();
    let fleet = Fleet::of_place(place).await?;
    // A user who may not run `INFO` sees the rest.
    let info = place.inspector.info().await.ok().flatten();
    Ok((now, fleet, info.and_then(|info| servers::together(&info))))
}

fn took(watch: &mut Watch, looked: Result<(u64, Fleet, Option<ServerFigures>), Failure>) {
    match looked {
        Ok((now, fleet, server)) => watch.take(now, fleet, server),
        Err(failure) => watch.problem = Some(failure.to_string()),
    }
}

async fn on_terminal(
    place: &Place,
    mut watch: Watch,
    how: &WatchArgs,
    terminal: &mut DefaultTerminal,
) -> Done {
    // Before anything is drawn: a signal from here on leaves the terminal as it was.
    let mut ended = std::pin::pin!(signalled());
    let mut events = events();
    let mut ticks = interval(Duration::from_secs(how.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = how.count;
    loop {
        terminal.draw(|frame| draw::draw(frame, &watch))?;
        tokio::select! {
            _ = ticks.tick() => {
                if left == Some(0) {
                    return Ok(());
                }
                left = left.map(|left| left - 1);
                // A server that does not answer must not hold up the keys.
                let looked = tokio::select! {
                    looked = look(place) => looked,
                    () = quit(&mut events, &mut watch, terminal) => return Ok(()),
                    () = &mut ended => return Ok(()),
                };
                took(&mut watch, looked);
            }
            event = events.recv() => match event {
                Some(Event::Key(key)) if pressed(&mut watch, key) => return Ok(()),
                Some(_) => {}
                None => return Ok(()),
            },
            () = &mut ended => return Ok(()),
        }
    }
}

/// Handles keys until one quits.
async fn quit(
    events: &mut mpsc::UnboundedReceiver<Event>,
    watch: &mut Watch,
    terminal: &mut DefaultTerminal,
) {
    while let Some(event) = events.recv().await {
        if let Event::Key(key) = event
            && pressed(watch, key)
        {
            return;
        }
        // A terminal that cannot be drawn on ends the next turn.
        let _ = terminal.draw(|frame| draw::draw(frame, watch));
    }
}

/// What is typed, and that the size changes.
fn events() -> mpsc::UnboundedReceiver<Event> {
    let (told, events) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while !told.is_closed() {
            match event::poll(KEYS) {
                Ok(false) => {}
                Ok(true) => {
                    let Ok(event) = event::read() else { return };
                    if told.send(event).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    events
}

/// Listens for the signals that end a process, from now on; what is returned ends once one came.
fn signalled() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};

        [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal)
    };
    async move {
        #[cfg(unix)]
        if let [Ok(mut terminated), Ok(mut hung_up), Ok(mut interrupted)] = signals {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = hung_up.recv() => {}
                _ = interrupted.recv() => {}
            }
            return;
        }
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Does what a key is for; returns whether it quits.
fn pressed(watch: &mut Watch, key: KeyEvent) -> bool {
    if key.kind == KeyEventKind::Release {
        return false;
    }
    if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return true;
    }
    if watch.filtering {
        match key.code {
            KeyCode::Enter => watch.filtering = false,
            KeyCode::Esc => {
                watch.filtering = false;
                watch.filter.clear();
            }
            KeyCode::Backspace => drop(watch.filter.pop()),
            KeyCode::Char(c) if !c.is_control() => watch.filter.push(c),
            _ => {}
        }
        watch.at = 0;
        return false;
    }
    let rows = watch.sites().len();
    match key.code {
        KeyCode::Char('q') => return true,
        KeyCode::Char('s') => watch.sorted_by = next(&Column::ALL, watch.sorted_by),
        KeyCode::Char('r') => watch.ascending = !watch.ascending,
        KeyCode::Char('/') => watch.filtering = true,
        KeyCode::Esc => watch.filter.clear(),
        KeyCode::Tab => watch.pane = next(&Pane::ALL, watch.pane),
        KeyCode::Up | KeyCode::Char('k') => watch.at = watch.at.min(rows).saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => watch.at = (watch.at + 1).min(rows.saturating_sub(1)),
        KeyCode::Home => watch.at = 0,
        KeyCode::End => watch.at = rows.saturating_sub(1),
        _ => {}
    }
    false
}

fn next<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).unwrap_or_default();
    all[(at + 1) % all.len()]
}

/// A table after each look.
async fn as_rows(args: &Args, place: &Place, mut watch: Watch, how: &WatchArgs) -> Done {
    let mut ticks = interval(Duration::from_secs(how.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = how.count;
    let mut is_first = true;
    while left != Some(0) {
        ticks.tick().await;
        left = left.map(|left| left - 1);
        let looked = look(place).await;
        // What cannot be reached at first will not be, as a rule: later it may come back.
        if let (true, Err(failure)) = (is_first, &looked) {
            return Err(Failure::Unreachable(failure.to_string()));
        }
        took(&mut watch, looked);
        if let Some(problem) = &watch.problem {
            text::tell(problem);
            continue;
        }
        let mut table = Table::new(&[
            "at",
            "site",
            "reads_per_s",
            "hit_rate",
            "misses_per_s",
            "loads_per_s",
            "load_p99",
            "errors",
        ]);
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let at = (watch.now / 1_000) as f64;
        for row in watch.sites().into_iter().chain([watch.total()]) {
            let cell = |rate: Option<f64>| rate.map_or(Cell::None, Cell::PerSecond);
            table.row([
                Cell::PerSecond(at),
                row.site.into(),
                cell(row.reads),
                row.hit_rate.map_or(Cell::None, Cell::Share),
                cell(row.misses),
                cell(row.loads),
                row.load_p99.map_or(Cell::None, Cell::Seconds),
                row.errors.into(),
            ]);
        }
        table.write_again(&args.output, is_first)?;
        is_first = false;
    }
    Ok(())
}
