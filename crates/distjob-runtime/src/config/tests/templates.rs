//! Tables that are made after another one.

use std::collections::BTreeMap;

use super::*;

const EMBEDDED: &str = r#"
# Logs.
[log]
# Level. [reload]
level = "info"
# Format.
format = "text"
# Metrics.
[admin]
# Where.
listen = "off"
# Work.
[work]
# Names.
names = ["a", "b"]
# For all.
[pot]
# Heat. [reload]
heat = 1
# Lid.
lid = "flat"
# By its name behind the tables.
wok = false
# Spices.
[pot.spices]
# The stove.
[pot.stove]
# Where.
place = ""
# Whoever eats from it. [reload]
[guest]
# Bowls. [reload]
bowls = 1
# Where. [reload]
seat = ""
"#;

#[derive(Debug, Serialize, Deserialize)]
struct Kitchen {
    log: LogConfig,
    admin: AdminConfig,
    work: Work,
    pot: Pot,
    pots: BTreeMap<String, Pot>,
    guest: Guest,
}

#[derive(Debug, Serialize, Deserialize)]
struct Work {
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pot {
    heat: u8,
    lid: String,
    wok: bool,
    spices: BTreeMap<String, String>,
    stove: Stove,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    guests: BTreeMap<String, Guest>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Guest {
    bowls: u8,
    seat: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stove {
    place: String,
}

impl Settings for Kitchen {
    const RELOADABLE: &'static [&'static str] = &["pot.heat", "guest"];
    const TEMPLATES: &'static [Template] = &[
        Template {
            defaults: "pot",
            instances: "pots",
            listed: Some("work.names"),
        },
        Template {
            defaults: "guest",
            instances: "pots.*.guests",
            listed: None,
        },
    ];

    fn check(&self, problems: &mut Problems<'_>) {
        problems.require("pot.heat", self.pot.heat < 10, "must be less than 10");
        for (name, pot) in &self.pots {
            let key = format!("pots.{name}.heat");
            problems.require(&key, pot.heat < 10, "must be less than 10");
            for (guest, config) in &pot.guests {
                let key = format!("pots.{name}.guests.{guest}.seat");
                problems.require(&key, !config.seat.is_empty(), "must be somewhere");
            }
        }
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

/// The layers of a test, read as a kitchen.
fn kitchen(layers: &Layers) -> Result<Loaded<Kitchen>, Vec<String>> {
    read(Sources {
        embedded: EMBEDDED,
        ..layers.sources()
    })
    .map_err(|error| layers.shown(&error))
}

fn pot(layers: &Layers, name: &str) -> Pot {
    kitchen(layers).unwrap().settings.pots[name].clone()
}

#[test]
fn the_default_documents_templates_and_free_tables_too() {
    assert_documents::<Kitchen>("toy", EMBEDDED);
}

#[test]
fn each_name_has_the_template_but_for_what_is_said_of_it() {
    let layers = Layers::new()
        .file("[pot]\nheat = 2\n[pot.spices]\nsalt = \"1\"\n[pots.b]\nlid = \"round\"\n[pots.b.spices]\npepper = \"2\"")
        .variable("DISTJOB_POTS__B__STOVE__PLACE", "left")
        .flag("pots.a.heat=7");
    let (a, b) = (pot(&layers, "a"), pot(&layers, "b"));
    assert_eq!((a.heat, &*a.lid, &*a.stove.place), (7, "flat", ""));
    assert_eq!((b.heat, &*b.lid, &*b.stove.place), (2, "round", "left"));
    assert_eq!(a.spices.len(), 1);
    assert_eq!(b.spices.keys().collect::<Vec<_>>(), ["pepper", "salt"]);
}

#[test]
fn what_is_said_of_a_name_counts_more_than_what_is_said_of_all_wherever_it_stands() {
    let layers = Layers::new().file("[pots.b]\nheat = 3").flag("pot.heat=4");
    assert_eq!((pot(&layers, "a").heat, pot(&layers, "b").heat), (4, 3));
}

#[test]
fn names_may_have_dashes_underscores_and_capitals() {
    let layers = Layers::new()
        .file("[work]\nnames = [\"My-Pot_1\"]\n[pots.My-Pot_1]\nheat = 3")
        .flag("pots.My-Pot_1.lid=round");
    let pot = pot(&layers, "My-Pot_1");
    assert_eq!((pot.heat, &*pot.lid), (3, "round"));
}

#[test]
fn only_what_differs_from_the_template_is_printed_and_it_is_read_back_the_same() {
    let layers = Layers::new()
        .file(
            "[pot]\nheat = 2\n[pot.spices]\nsalt = \"1\"\n\"LC_*\" = \"x\"\n[pots.b.stove]\nplace = \"left\"",
        )
        .flag("pots.b.spices.pepper=2");
    let loaded = kitchen(&layers).unwrap();
    let printed = loaded.to_toml();
    assert!(
        printed.contains("[pots.b.stove]\nplace = \"left\"  # "),
        "{printed}"
    );
    assert!(!printed.contains("pots.a"), "{printed}");
    assert!(
        printed.contains("spices = { \"LC_*\" = \"x\", salt = \"1\" }"),
        "{printed}"
    );
    let again = kitchen(&Layers::new().file(&printed)).unwrap();
    assert_eq!(loaded.changes(&again), []);
    assert_eq!(loaded.settings.pots, again.settings.pots);
}

#[test]
fn each_table_is_printed_once() {
    let layers = Layers::new()
        .flag("pots.a.stove.place=left")
        .flag("pots.a.wok=true");
    let printed = kitchen(&layers).unwrap().to_toml();
    for table in ["[pot]", "[pot.stove]", "[pots.a]", "[pots.a.stove]"] {
        assert_eq!(
            printed.lines().filter(|line| *line == table).count(),
            1,
            "{printed}"
        );
    }
    assert!(kitchen(&Layers::new().file(&printed)).is_ok(), "{printed}");
}

#[test]
fn what_is_named_like_a_secret_in_a_free_table_is_not_printed() {
    let layers = Layers::new()
        .flag("pot.spices.API_TOKEN=s3cr")
        .flag("pots.a.spices={ Authorization = \"s3cr\", url = \"redis://:s3cr@h\", salt = \"1\" }");
    let printed = kitchen(&layers).unwrap().to_toml();
    assert!(
        !printed.contains("s3cr") && printed.contains("salt = \"1\""),
        "{printed}"
    );
}

#[test]
fn mistakes_in_an_instance_are_named_as_they_are_written() {
    let problems = kitchen(
        &Layers::new()
            .file(
                "[pots.a]\nhaet = 3\nplace = \"x\"\n[pots.b]\nheat = \"hot\"\n[pots.b.spices]\nsalt = 1\n[pots]\nc = 5\n",
            )
            .flag("pots=5")
            .flag("pots.a.slots=1"),
    )
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "/etc/distjob/toy.toml:2: unknown key `pots.a.haet`; the nearest known key is `pots.a.heat`",
            "/etc/distjob/toy.toml:3: unknown key `pots.a.place`; the nearest known key is `pots.a.stove.place`",
            "/etc/distjob/toy.toml:5: `pots.b.heat`: found the string \"hot\", expected an integer such as 1",
            "/etc/distjob/toy.toml:6: `pots.b.spices`: invalid type: found signed int `1`, expected a string",
            "/etc/distjob/toy.toml:9: `pots.c`: found the integer 5, expected a table",
            "flag --set pots: `pots`: found the integer 5, expected a table",
            "flag --set pots.a.slots: unknown key `pots.a.slots`; the nearest known key is `pots.a.heat`",
        ]
    );
}

#[test]
fn an_instance_that_the_list_does_not_name_is_an_error_that_says_so() {
    let problems = kitchen(&Layers::new().file("[pots.c]\nlid = \"flat\"")).unwrap_err();
    assert_eq!(
        problems,
        [
            "/etc/distjob/toy.toml:2: `pots.c` has no effect: `work.names` names a, b and not c; name it there, or \
          remove this"
        ]
    );
}

#[test]
fn a_bad_value_of_the_template_is_reported_once() {
    let problems = kitchen(&Layers::new().file("[pot]\nheat = 10")).unwrap_err();
    assert_eq!(
        problems,
        ["/etc/distjob/toy.toml:2: `pot.heat` must be less than 10"]
    );
    let problems = kitchen(&Layers::new().file("[pots.b]\nheat = 11")).unwrap_err();
    assert_eq!(
        problems,
        ["/etc/distjob/toy.toml:2: `pots.b.heat` must be less than 10"]
    );
}

#[test]
fn a_reload_takes_over_what_can_change_of_an_instance() {
    let layers = Layers::new().file("[pots.b]\nheat = 3\nlid = \"round\"");
    let loaded = kitchen(&layers).unwrap();
    let layers = layers.file("[pots.a]\nheat = 2\n[pots.b]\nlid = \"flat\"");
    let reload = loaded.reload().unwrap();
    let listed = |changes: &[Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        listed(&reload.applied),
        ["pots.a.heat: - -> 2", "pots.b.heat: 3 -> -"]
    );
    assert_eq!(listed(&reload.pending), ["pots.b.lid: \"round\" -> \"flat\""]);
    let settings = &reload.loaded.settings;
    assert_eq!((settings.pots["a"].heat, settings.pots["b"].heat), (2, 1));
    assert_eq!(settings.pots["b"].lid, "round");
    drop(layers);
}

#[test]
fn instances_come_and_go_with_the_list_that_names_them() {
    let layers = Layers::new().file("[pots.b]\nheat = 3");
    let loaded = kitchen(&layers).unwrap();
    let layers = layers.file("[work]\nnames = [\"a\", \"c\"]\n[pots.c]\nheat = 2\n[pots.a]\nheat = 4");
    let reload = loaded.reload().unwrap();
    let applied: Vec<_> = reload.applied.iter().map(|change| &*change.key).collect();
    let pending: Vec<_> = reload.pending.iter().map(|change| &*change.key).collect();
    assert_eq!(applied, ["pots.a.heat"]);
    assert_eq!(pending, ["pots.b.heat", "pots.c.heat", "work.names"]);
    let settings = &reload.loaded.settings;
    assert_eq!((settings.pots["a"].heat, settings.pots["b"].heat), (4, 3));
    drop(layers);
}

#[test]
fn an_instance_has_instances_of_another_template_in_it() {
    let layers = Layers::new()
        .file("[guest]\nbowls = 2\n[pots.b]\nheat = 3\n[pots.b.guests.anne]\nseat = \"left\"")
        .flag("pots.b.guests.carl.seat=right")
        .variable("DISTJOB_POTS__B__GUESTS__CARL__BOWLS", "5");
    assert!(pot(&layers, "a").guests.is_empty());
    let b = pot(&layers, "b");
    assert_eq!((b.heat, b.guests.len()), (3, 2));
    assert_eq!((b.guests["anne"].bowls, &*b.guests["anne"].seat), (2, "left"));
    assert_eq!((b.guests["carl"].bowls, &*b.guests["carl"].seat), (5, "right"));
    let printed = kitchen(&layers).unwrap().to_toml();
    assert!(printed.contains("[pots.b.guests.carl]\nbowls = 5"), "{printed}");
    let again = kitchen(&Layers::new().file(&printed)).unwrap();
    assert_eq!(again.settings.pots["b"], b);
}

#[test]
fn mistakes_in_an_instance_within_an_instance_are_named_as_they_are_written() {
    let problems = kitchen(
        &Layers::new()
            .file(
                "[pots.b.guests.anne]\nbowl = 3\n[pots.b.guests]\ncarl = 1\n[pot.guests.dora]\nseat = \"x\"",
            )
            .flag("pots.a.guests.emil.bowls=2"),
    )
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "/etc/distjob/toy.toml:6: unknown key `pot.guests.dora.seat`; the nearest known key is `guest.seat`",
            "/etc/distjob/toy.toml:2: unknown key `pots.b.guests.anne.bowl`; the nearest known key is \
             `pots.b.guests.anne.bowls`",
            "/etc/distjob/toy.toml:4: `pots.b.guests.carl`: found the integer 1, expected a table",
            "embedded default: `pots.a.guests.emil.seat` must be somewhere",
        ]
    );
}

#[test]
fn a_reload_takes_over_an_instance_within_an_instance_that_comes_and_one_that_changes() {
    let layers = Layers::new().file("[pots.b.guests.anne]\nseat = \"left\"");
    let loaded = kitchen(&layers).unwrap();
    let layers = layers.file("[pots.b.guests.anne]\nseat = \"right\"\n[pots.b.guests.carl]\nseat = \"left\"");
    let reload = loaded.reload().unwrap();
    let applied: Vec<_> = reload.applied.iter().map(|change| &*change.key).collect();
    assert_eq!(applied, ["pots.b.guests.anne.seat", "pots.b.guests.carl.seat"]);
    let guests = &reload.loaded.settings.pots["b"].guests;
    assert_eq!((&*guests["anne"].seat, &*guests["carl"].seat), ("right", "left"));
    drop(layers);
}
