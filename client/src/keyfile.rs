//! Key files: one ed25519 key on disk, encrypted under a passphrase or plain for machines.
//!
//! A plain file is the seed as 64 hex digits and is readable by its owner alone. An encrypted file
//! is JSON: the public key in the clear, so that one can see whose it is, and the seed under
//! ChaCha20-Poly1305 with a key that argon2id derives from the passphrase. Everything that stands
//! in the clear is authenticated with it, so no field can be exchanged unnoticed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use serde::{Deserialize, Serialize};
use tonle_model::hex;
use tonle_model::key::{KeyPair, PublicKey};
use zeroize::Zeroizing;

/// argon2id as RFC 9106 recommends for memory-constrained machines: 64 MiB, three passes.
const KDF: Kdf = Kdf { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// The most work that a file may ask for: a strange file must not eat the machine.
const KDF_MAX: Kdf = Kdf { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };
/// Longest key file that is read.
const FILE_BYTES_MAX: u64 = 4096;
/// Shortest passphrase that a new file takes, in bytes.
pub const PASSPHRASE_BYTES_MIN: usize = 8;

/// Why a key file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system refused.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// There is one already; key files are never overwritten.
    #[error("key file {} exists already and is never overwritten", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// A secret that others can read is no secret.
    #[error(
        "plain key file {0} can be read by others; run `chmod 600 {0}`, and make a new key \
         if someone may have read it",
        path.display()
    )]
    Permissions {
        /// Which file.
        path: PathBuf,
    },
    /// Neither form.
    #[error("not a key file: {0}")]
    Malformed(String),
    /// The file is encrypted and no passphrase was given.
    #[error("the key file is encrypted: a passphrase is needed")]
    PassphraseNeeded,
    /// The authentication tag does not match.
    #[error("the passphrase is wrong, or the key file was changed")]
    PassphraseWrong,
    /// Too easy to guess.
    #[error("a passphrase needs at least {PASSPHRASE_BYTES_MIN} characters")]
    PassphraseShort,
    /// The operating system has no randomness to give.
    #[error("no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// Cost of deriving the key from the passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The JSON form of an encrypted key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encrypted {
    version: u32,
    public_key: PublicKey,
    kdf: Kdf,
    salt: String,
    nonce: String,
    ciphertext: String,
}

/// A key file that was read but not opened yet.
#[derive(Debug, Clone)]
pub struct KeyFile(Form);

#[derive(Debug, Clone)]
enum Form {
    Plain(Box<KeyPair>),
    Encrypted(Box<Encrypted>),
}

impl KeyFile {
    /// A file that holds the key as it is.
    pub fn plain(key: KeyPair) -> Self {
        Self(Form::Plain(Box::new(key)))
    }

    /// Encrypts a key under a passphrase.
    pub fn encrypt(key: &KeyPair, passphrase: &str) -> Result<Self, KeyFileError> {
        if passphrase.len() < PASSPHRASE_BYTES_MIN {
            return Err(KeyFileError::PassphraseShort);
        }
        let mut salt = [0; 16];
        let mut nonce = [0; 12];
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut nonce)?;
        let mut file = Encrypted {
            version: 1,
            public_key: key.public_key(),
            kdf: KDF,
            salt: hex::encode(&salt),
            nonce: hex::encode(&nonce),
            ciphertext: String::new(),
        };
        let cipher = file.cipher(passphrase)?;
        let seed = key.seed();
        let message = Payload { msg: seed.as_ref(), aad: &file.authenticated() };
        let ciphertext = cipher
            .encrypt(&Nonce::from(nonce), message)
            .map_err(|_| KeyFileError::Malformed("the key cannot be encrypted".into()))?;
        file.ciphertext = hex::encode(&ciphertext);
        Ok(Self(Form::Encrypted(Box::new(file))))
    }

    /// Reads the text of either form.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let malformed = |error: &dyn std::fmt::Display| KeyFileError::Malformed(error.to_string());
        if !text.trim_start().starts_with('{') {
            return KeyPair::from_hex(text).map(Self::plain).map_err(|error| malformed(&error));
        }
        let file: Encrypted = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        if file.version != 1 {
            return Err(malformed(&format!("version {} is not known here", file.version)));
        }
        Ok(Self(Form::Encrypted(Box::new(file))))
    }

    /// Reads a file, and refuses a plain one that others can read.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io { path: path.into(), source };
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(KeyFileError::Malformed(format!("{} is too long", path.display())));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        let file = Self::parse(&text)?;
        let open_to_others = metadata.permissions().mode() & 0o077 != 0;
        if open_to_others && !file.is_encrypted() {
            return Err(KeyFileError::Permissions { path: path.into() });
        }
        Ok(file)
    }

    /// Writes a new file that only its owner may read. An existing one is never overwritten: that
    /// would destroy a key.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.into() },
            _ => KeyFileError::Io { path: path.into(), source },
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(self.to_text().as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Whether a passphrase is needed to open it.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, Form::Encrypted(_))
    }

    /// Whose key it says it is; proven only by [`KeyFile::open`].
    pub fn public_key(&self) -> PublicKey {
        match &self.0 {
            Form::Plain(key) => key.public_key(),
            Form::Encrypted(file) => file.public_key,
        }
    }

    /// The key. The passphrase is ignored by a plain file.
    pub fn open(&self, passphrase: Option<&str>) -> Result<KeyPair, KeyFileError> {
        match &self.0 {
            Form::Plain(key) => Ok((**key).clone()),
            Form::Encrypted(file) => {
                file.decrypt(passphrase.ok_or(KeyFileError::PassphraseNeeded)?)
            }
        }
    }

    /// The text of the file; wiped when dropped, since a plain one is the secret itself.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(match &self.0 {
            Form::Plain(key) => format!("{}\n", hex::encode(key.seed().as_ref())),
            // A struct of strings and numbers always has a JSON form.
            Form::Encrypted(file) => {
                let text = serde_json::to_string_pretty(file).unwrap_or_default();
                format!("{text}\n")
            }
        })
    }
}

impl Encrypted {
    /// What is in the clear, in one spelling.
    fn authenticated(&self) -> Vec<u8> {
        let Kdf { memory_kib, passes, lanes } = self.kdf;
        let head = format!("tonle key {} {}", self.version, self.public_key);
        format!("{head} {memory_kib} {passes} {lanes} {} {}", self.salt, self.nonce).into_bytes()
    }

    fn cipher(&self, passphrase: &str) -> Result<ChaCha20Poly1305, KeyFileError> {
        let malformed = |what: &str| KeyFileError::Malformed(what.into());
        let Kdf { memory_kib, passes, lanes } = self.kdf;
        if memory_kib > KDF_MAX.memory_kib || passes > KDF_MAX.passes || lanes > KDF_MAX.lanes {
            return Err(malformed("it asks for too much work"));
        }
        let salt: [u8; 16] =
            hex::decode_array(&self.salt).ok_or_else(|| malformed("the salt is not 16 bytes"))?;
        let params = Params::new(memory_kib, passes, lanes, Some(32))
            .map_err(|error| malformed(&error.to_string()))?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut())
            .map_err(|error| malformed(&error.to_string()))?;
        Ok(ChaCha20Poly1305::new(&Key::from(*key)))
    }

    fn decrypt(&self, passphrase: &str) -> Result<KeyPair, KeyFileError> {
        let malformed = |what: &str| KeyFileError::Malformed(what.into());
        let nonce: [u8; 12] =
            hex::decode_array(&self.nonce).ok_or_else(|| malformed("the nonce is not 12 bytes"))?;
        let ciphertext =
            hex::decode(&self.ciphertext).ok_or_else(|| malformed("the ciphertext is not hex"))?;
        let message = Payload { msg: &ciphertext, aad: &self.authenticated() };
        let cipher = self.cipher(passphrase)?;
        let seed = cipher
            .decrypt(&Nonce::from(nonce), message)
            .map(Zeroizing::new)
            .map_err(|_| KeyFileError::PassphraseWrong)?;
        let seed: &[u8; 32] =
            seed.as_slice().try_into().map_err(|_| malformed("the key is not 32 bytes"))?;
        let key = KeyPair::from_seed(seed);
        match key.public_key() == self.public_key {
            true => Ok(key),
            false => Err(malformed("it holds another key than it says")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "mekong and tonle";

    fn encrypted() -> (KeyPair, KeyFile) {
        let key = KeyPair::from_seed(&[7; 32]);
        let file = KeyFile::encrypt(&key, PASSPHRASE).unwrap();
        (key, file)
    }

    #[test]
    fn an_encrypted_file_opens_with_its_passphrase_only() {
        let (key, file) = encrypted();
        let read = KeyFile::parse(&file.to_text()).unwrap();
        assert!(read.is_encrypted());
        assert_eq!(read.public_key(), key.public_key());
        assert_eq!(*read.open(Some(PASSPHRASE)).unwrap().seed(), *key.seed());
        assert!(matches!(read.open(Some("mekong and tonlé")), Err(KeyFileError::PassphraseWrong)));
        assert!(matches!(read.open(None), Err(KeyFileError::PassphraseNeeded)));
    }

    #[test]
    fn the_secret_is_not_in_an_encrypted_file() {
        let (key, file) = encrypted();
        assert!(!file.to_text().contains(&hex::encode(key.seed().as_ref())));
        assert_ne!(*file.to_text(), *encrypted().1.to_text(), "salt and nonce are fresh");
    }

    #[test]
    fn a_tampered_file_does_not_open() {
        let (_, file) = encrypted();
        let Form::Encrypted(good) = &file.0 else { panic!("it is encrypted") };
        let other = KeyPair::from_seed(&[8; 32]).public_key();
        let flip = |text: &str| match text.strip_prefix('0') {
            Some(rest) => format!("1{rest}"),
            None => format!("0{}", &text[1..]),
        };
        let tampered = [
            Encrypted { public_key: other, ..(**good).clone() },
            Encrypted { salt: flip(&good.salt), ..(**good).clone() },
            Encrypted { nonce: flip(&good.nonce), ..(**good).clone() },
            Encrypted { ciphertext: flip(&good.ciphertext), ..(**good).clone() },
            Encrypted { kdf: Kdf { passes: 2, ..KDF }, ..(**good).clone() },
        ];
        for bad in tampered {
            let result = KeyFile(Form::Encrypted(Box::new(bad))).open(Some(PASSPHRASE));
            assert!(matches!(result, Err(KeyFileError::PassphraseWrong)), "{result:?}");
        }
    }

    #[test]
    fn a_file_that_asks_for_too_much_work_is_refused() {
        let (_, file) = encrypted();
        let Form::Encrypted(good) = &file.0 else { panic!("it is encrypted") };
        let kdf = Kdf { memory_kib: u32::MAX, ..KDF };
        let bad = Encrypted { kdf, ..(**good).clone() };
        let result = KeyFile(Form::Encrypted(Box::new(bad))).open(Some(PASSPHRASE));
        assert!(matches!(result, Err(KeyFileError::Malformed(_))), "{result:?}");
    }

    #[test]
    fn a_plain_file_is_private_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = KeyPair::from_seed(&[7; 32]);
        KeyFile::plain(key.clone()).write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(read.open(None).unwrap().public_key(), key.public_key());
        let again = KeyFile::plain(KeyPair::from_seed(&[8; 32])).write_new(&path);
        assert!(matches!(again, Err(KeyFileError::Exists { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(KeyFile::read(&path), Err(KeyFileError::Permissions { .. })));
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        for bad in ["", "00", "{}", "not hex at all", "{\"version\":2}"] {
            assert!(matches!(KeyFile::parse(bad), Err(KeyFileError::Malformed(_))), "{bad}");
        }
        let key = KeyPair::from_seed(&[7; 32]);
        assert!(matches!(KeyFile::encrypt(&key, "short"), Err(KeyFileError::PassphraseShort)));
    }
}
