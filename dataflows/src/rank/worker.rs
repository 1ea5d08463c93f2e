/// A worker's part of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    worker: usize,
    list: List,
}

/// What a told epoch brings to a worker.
#[derive(Default)]
struct Work {
    changes: Vec<Change>,
    opened: BTreeSet<(Minute, FilterId)>,
}

/// The lists over the ads of this worker.
fn rank_worker<'scope>(
    changes: Updates<'scope, Change>,
    opened: Stream<'scope, Opened>,
    advances: Stream<'scope, Advance>,
    options: &Options,
    minutes_held: Gauge,
) -> Updates<'scope, Part> {
    let scope = changes.scope();
    let worker = scope.index();
    let mut builder = OperatorBuilder::new("RankWorker".to_owned(), scope);
    let mut changes = builder.new_input(changes.inner, Pipeline);
    let mut opened = builder.new_input(opened, Pipeline);
    let mut advances = builder.new_input(advances, Pipeline);
    let (output, parts) = builder.new_output();
    let mut output = OutputBuilder::<Epoch, Builder<Part>>::from(output);
    let mut ranking = Ranking::new(options);
    let mut work = Held::<Work>::new();
    let mut horizon = Horizon::default();
    builder.build(move |_| {
        move |frontiers| {
            advances.for_each(|_, data| data.iter().for_each(|advance| horizon.note(advance)));
            opened.for_each(|time, data| {
                let Some(time) = time.retain_least(0) else { return };
                for (epoch, minute, filter) in data.drain(..) {
                    work.at(epoch, &time).opened.insert((minute, filter));
                }
            });
            changes.for_each(|time, data| {
                let Some(time) = time.retain_least(0) else { return };
                for (change, epoch, _) in data.drain(..) {
                    work.at(epoch, &time).changes.push(change);
                }
            });
            let open = frontiers.iter().map(open_from).min().expect("there are three inputs");
            // Only the input's own frontier says that it has ended: that of changes may go on
            // for what expires.
            let last = match open_from(&frontiers[2]) {
                Epoch::MAX => horizon.last_minute(&ranking.options),
                _ => Minute(u32::MAX),
            };
            let mut output = output.activate();
            while let Some((epoch, time, Work { changes, opened })) = work.take_closed(open) {
                let held = ranking.windows.minutes_held() as u64;
                let told = ranking.take(epoch, &changes, opened, last);
                ranking.wake(epoch, &changes, last, &time, &mut work);
                let told = told.into_iter().map(|group| {
                    let ads = ranking.windows.list(group).to_vec();
                    (Part { worker, list: List { group, ads } }, epoch, 1)
                });
                output.session_with_builder(&time).give_iterator(told);
                let learnt = epoch.saturating_sub(ranking.options.told_within()) + 1;
                ranking.forget_before(horizon.first_minute(learnt, &ranking.options));
                minutes_held.sub(held);
                minutes_held.add(ranking.windows.minutes_held() as u64);
            }
        }
    });
    Updates::new(parts)
}

/// A worker's windows, and which lists of theirs are told.
struct Ranking {
    windows: Windows,
    /// Minutes and filters whose lists are told before the minute settles.
    opened: BTreeSet<(Minute, FilterId)>,
    options: Options,
}

impl Ranking {
    fn new(options: &Options) -> Ranking {
        Ranking {
            windows: Windows::new(&options.windows, options.top),
            opened: BTreeSet::new(),
            options: options.clone(),
        }
    }

    /// Learns what `epoch` brings; the groups whose lists it tells, up to minute `last`.
    fn take(
        &mut self,
        epoch: Epoch,
        changes: &[Change],
        opened: BTreeSet<(Minute, FilterId)>,
        last: Minute,
    ) -> BTreeSet<Group> {
        let mut told = BTreeSet::new();
        for Change { cell, clicks, was } in changes {
            self.windows.add(cell, clicks - was);
        }
        for Change { cell, .. } in changes {
            let ends = cell.minute.0..cell.minute.plus(self.options.window_max()).0;
            let ends: Vec<Minute> = ends
                .map(Minute)
                .filter(|end| *end <= last && self.has_lists(*end, cell.filter, epoch))
                .collect();
            self.windows.correct(cell, &ends, |group| {
                told.insert(group);
            });
        }
        let unsettled = self.options.first_unsettled(epoch);
        let mut new: BTreeMap<Minute, BTreeSet<FilterId>> = BTreeMap::new();
        for (minute, filter) in opened {
            if self.options.settle(minute) >= epoch && self.opened.insert((minute, filter)) {
                new.entry(minute).or_default().insert(filter);
            }
        }
        let settled = unsettled.minus(1);
        if self.options.settle(settled) == epoch && settled <= last {
            let open = self.options.filters.ids();
            let open = open.filter(|filter| !self.opened.contains(&(settled, *filter)));
            new.entry(settled).or_default().extend(open);
            told.extend(self.windows.groups(settled));
        }
        for (minute, filters) in new {
            if self.windows.has_clicks(minute) {
                self.windows.evaluate(minute, Some(&filters));
                let groups = self.windows.groups(minute).into_iter();
                told.extend(groups.filter(|(filter, _, _)| filters.contains(filter)));
            }
        }
        told
    }

    /// Whether the lists of `filter` that end with `end` were told before `epoch`, empty ones too.
    fn has_lists(&self, end: Minute, filter: FilterId, epoch: Epoch) -> bool {
        self.options.settle(end) < epoch || self.opened.contains(&(end, filter))
    }

    /// Makes sure that the next minute to settle finds this worker at work, if it has clicks.
    fn wake(
        &self,
        epoch: Epoch,
        changes: &[Change],
        last: Minute,
        time: &Capability<Epoch>,
        work: &mut Held<Work>,
    ) {
        let next = self.options.first_unsettled(epoch);
        let longest = self.options.window_max();
        let minutes: BTreeSet<Minute> = changes.iter().map(|change| change.cell.minute).collect();
        let ends = minutes.into_iter().filter(|minute| minute.plus(longest) > next);
        let ends = ends.map(|minute| minute.max(next));
        let after = Some(next).filter(|end| self.windows.has_clicks(*end));
        for end in ends.chain(after).filter(|end| *end <= last) {
            work.at(self.options.settle(end), time);
        }
    }

    fn forget_before(&mut self, minute: Minute) {
        self.windows.forget_before(minute);
        self.opened = self.opened.split_off(&(minute, 0));
    }
}

