//! A bundle taken apart by hand, to be changed and put together again as its exporter would; and the demonstration that one comes from.

use connector::jose::{Signer, SigningKey, canonical, sha256, token};
use connector_tests::harness;
use serde_json::{Value, json};
use std::{
    fs,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What the demonstration left.
pub struct Demonstration {
    /// The lycée's bundle of its agreement with the EdTech.
    pub provider: Vec<u8>,
    /// The EdTech's bundle of the same agreement.
    pub consumer: Vec<u8>,
    /// The EdTech's agreement with the other provider, validly signed.
    pub other_agreement: Vec<u8>,
    /// The lycée's key.
    pub signer: Signer,
    /// The EdTech's key.
    pub peer_signer: Signer,
    /// The lycée's learners.
    pub learners: Vec<String>,
    /// Their names at the EdTech.
    pub pseudonyms: Vec<String>,
}

/// One demonstration for all tests: that of `CONNECTOR_DEMO` (a folder with `out` and `work`), or one of our own.
pub fn demonstration() -> &'static Demonstration {
    static ONE: OnceLock<Demonstration> = OnceLock::new();
    ONE.get_or_init(|| match std::env::var_os("CONNECTOR_DEMO") {
        Some(folder) => Demonstration::read(&PathBuf::from(folder)),
        None => {
            let folder = tempfile::tempdir().unwrap();
            let ran = Command::new(harness::binary())
                .args(["demo", "--records", "200", "--json", "--out"])
                .arg(folder.path().join("out"))
                .arg("--dir")
                .arg(folder.path().join("work"))
                .output()
                .unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            Demonstration::read(folder.path())
        }
    })
}

impl Demonstration {
    fn read(folder: &Path) -> Self {
        let out = folder.join("out");
        let json = |name: &str| -> Value { serde_json::from_slice(&fs::read(out.join(name)).unwrap()).unwrap() };
        let names = json("pseudonyms-lycee.json");
        let names = names["pseudonyms"].as_object().unwrap();
        let signer = |name: &str| {
            let home = folder.join("work").join(name);
            let config = fs::read_to_string(home.join("connector.toml")).unwrap();
            let kid = config
                .lines()
                .find_map(|line| line.strip_prefix("key_id = \""))
                .unwrap();
            let pem = fs::read(home.join("signing-key.pem")).unwrap();
            Signer::new(kid.trim_end_matches('"'), SigningKey::from_pem(&pem).unwrap()).unwrap()
        };
        let other = &json("agreement-france-travail.json")["document"];
        Self {
            provider: fs::read(out.join("evidence-lycee.tar")).unwrap(),
            consumer: fs::read(out.join("evidence-edtech.tar")).unwrap(),
            other_agreement: canonical::canonicalize(other).unwrap(),
            signer: signer("lycee"),
            peer_signer: signer("edtech"),
            learners: names.keys().cloned().collect(),
            pseudonyms: names.values().map(|name| name.as_str().unwrap().to_owned()).collect(),
        }
    }
}

/// Files in the order of the archive.
#[derive(Clone)]
pub struct Bundle {
    /// Name and content.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Takes an archive apart.
    pub fn unpack(bytes: &[u8]) -> Self {
        let mut archive = tar::Archive::new(bytes);
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        });
        Self { files: files.collect() }
    }

    /// Where the content of each file stands in an archive.
    pub fn places(bytes: &[u8]) -> Vec<(String, Range<usize>)> {
        let mut archive = tar::Archive::new(bytes);
        let places = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let (start, size) = (entry.raw_file_position() as usize, entry.size() as usize);
            (name, start..start + size)
        });
        places.collect()
    }

    /// Puts it together again.
    pub fn pack(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in &self.files {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            archive.append_data(&mut header, name, content.as_slice()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// Writes the hashes of the files as they are now and signs.
    pub fn sign(mut self, signer: &Signer) -> Self {
        let manifest = self.manifest();
        self.files.retain(|(name, _)| !name.starts_with("manifest."));
        self.files.sort();
        let hex = |bytes: &[u8]| -> String {
            let hash = sha256(bytes);
            hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let hashes: serde_json::Map<String, Value> = self
            .files
            .iter()
            .map(|(name, content)| (name.clone(), json!(hex(content))))
            .collect();
        let mut manifest = manifest;
        manifest["files"] = hashes.into();
        let bytes = canonical::signable(&manifest).unwrap();
        let claims = json!({"type": "DasesEvidenceBundle", "exporter": manifest["exporter"], "agreement": manifest["agreement"],
            "at": manifest["created"], "manifest": sha256(&bytes)});
        let signature = token::sign(signer, token::Kind::Evidence, &claims).unwrap();
        self.files.push(("manifest.json".into(), bytes));
        self.files.push(("manifest.jws".into(), signature.into_bytes()));
        self
    }

    /// The manifest.
    pub fn manifest(&self) -> Value {
        serde_json::from_slice(self.get("manifest.json")).unwrap()
    }

    /// The content of a file.
    pub fn get(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("there is no {name}")).1
    }

    /// Replaces a file, or adds it.
    pub fn set(&mut self, name: &str, content: Vec<u8>) {
        match self.files.iter_mut().find(|(known, _)| known == name) {
            Some(file) => file.1 = content,
            None => self.files.push((name.to_owned(), content)),
        }
    }

    /// Removes a file.
    pub fn remove(&mut self, name: &str) {
        self.files.retain(|(known, _)| known != name);
    }

    /// Changes one byte of a file, so that letters stay letters.
    pub fn flip(&mut self, name: &str, at: usize) {
        let mut content = self.get(name).to_vec();
        let at = (at..content.len())
            .find(|at| content[*at].is_ascii_alphanumeric())
            .unwrap();
        content[at] = if content[at] == b'a' { b'b' } else { b'a' };
        self.set(name, content);
    }

    /// Changes a JSON file and writes it in canonical form.
    pub fn edit(&mut self, name: &str, change: impl Fn(&mut Value)) {
        let mut value: Value = serde_json::from_slice(self.get(name)).unwrap();
        change(&mut value);
        self.set(name, canonical::canonicalize(&value).unwrap());
    }

    /// Changes the manifest.
    pub fn manifest_edit(&mut self, change: impl Fn(&mut Value)) {
        self.edit("manifest.json", change);
    }

    /// Exchanges the contents of two files.
    pub fn exchange(&mut self, a: &str, b: &str) {
        let (first, second) = (self.get(a).to_vec(), self.get(b).to_vec());
        self.set(a, second);
        self.set(b, first);
    }

    /// The first file with this in its name and this at its end.
    pub fn find(&self, part: &str, end: &str) -> String {
        let fits = |name: &str| name.contains(&format!("{part}{end}"));
        let found = self.files.iter().find(|(name, _)| fits(name));
        found.unwrap_or_else(|| panic!("there is no {part}{end}")).0.clone()
    }

    /// The first exhibit of this kind, as the manifest has it.
    pub fn exhibit(&self, kind: &str) -> Value {
        let manifest = self.manifest();
        let items = manifest["exhibits"].as_array().unwrap();
        let found = items.iter().find(|item| item["kind"] == kind);
        found.unwrap_or_else(|| panic!("there is no {kind}")).clone()
    }

    /// The files of the first entry of the exhibit with this body: the entry and its proof.
    pub fn entry_of(&self, body: &str) -> (String, String) {
        let manifest = self.manifest();
        let items = manifest["exhibits"].as_array().unwrap();
        let item = items.iter().find(|item| item["body"] == body).unwrap();
        let number = item["entries"][0].as_u64().unwrap();
        (
            format!("log/entries/{number:09}.json"),
            format!("log/proofs/{number:09}.tlog-proof"),
        )
    }

    /// Leaves an exhibit out, with or without its entries in the log.
    pub fn drop_exhibit(&mut self, body: &str, entries_too: bool) {
        let mut manifest = self.manifest();
        let items = manifest["exhibits"].as_array_mut().unwrap();
        let at = items.iter().position(|item| item["body"] == body).unwrap();
        let item = items.remove(at);
        let stem = body.trim_end_matches(".json");
        self.files.retain(|(name, _)| !name.starts_with(stem));
        if entries_too {
            for number in item["entries"].as_array().unwrap() {
                manifest["entries"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|known| known != number);
                let number = number.as_u64().unwrap();
                self.remove(&format!("log/entries/{number:09}.json"));
                self.remove(&format!("log/proofs/{number:09}.tlog-proof"));
            }
        }
        self.set("manifest.json", canonical::signable(&manifest).unwrap());
    }

    /// Numbers the exhibits of each process as if none had ever been left out.
    pub fn count_again(&mut self) {
        self.manifest_edit(|manifest| {
            let mut counts = std::collections::BTreeMap::<String, u64>::new();
            for item in manifest["exhibits"].as_array_mut().unwrap() {
                let count = counts.entry(item["process"].as_str().unwrap().to_owned()).or_default();
                item["number"] = json!(*count);
                *count += 1;
            }
            for process in manifest["processes"].as_array_mut().unwrap() {
                process["exhibits"] = json!(counts[process["pid"].as_str().unwrap()]);
            }
        });
    }

    /// Leaves out the DID documents of a party.
    pub fn drop_documents(&mut self, of: &Signer) {
        let mut manifest = self.manifest();
        let documents = manifest["documents"].as_array_mut().unwrap();
        let (theirs, others): (Vec<Value>, Vec<Value>) =
            documents.drain(..).partition(|version| version["did"] == of.did());
        *documents = others;
        for version in theirs {
            self.remove(version["file"].as_str().unwrap());
        }
        self.set("manifest.json", canonical::signable(&manifest).unwrap());
    }
}
