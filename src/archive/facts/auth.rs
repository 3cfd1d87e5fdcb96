use bytes::Bytes;

use super::Facts;
use super::list::{Budget, ascends, name};
use crate::archive::layout::FrameType;
use crate::archive::wire::{
    Malformed, Reader, Value, bytes_tag, put_bytes, put_message, put_u64, varint_tag,
};
use crate::types::KeyRange;

/// Users, their roles, and what the roles allow. etcd tells nobody its users' passwords, so they are not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// Whether authentication was on.
    pub state: AuthState,
    /// The users, ascending by name.
    pub users: Vec<User>,
    /// The roles, ascending by name.
    pub roles: Vec<Role>,
    /// Why users and roles could not be read; empty if they could.
    pub missing: String,
}

/// Whether authentication was on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthState {
    /// The server did not say.
    #[default]
    Unknown,
    /// Everybody could do everything.
    Off,
    /// Users could do what their roles allow.
    On,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name; never empty.
    pub name: String,
    /// The names of the roles.
    pub roles: Vec<String>,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The name; never empty.
    pub name: String,
    /// What it allows.
    pub permissions: Vec<RolePermission>,
}

/// What a role allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePermission {
    /// Whether keys may be read.
    pub read: bool,
    /// Whether keys may be written.
    pub write: bool,
    /// Which keys.
    pub range: KeyRange,
}

const READ: u64 = 1;
const WRITE: u64 = 2;

impl Auth {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.users.iter().for_each(|user| put_message(&mut out, bytes_tag(1), &user.encode()));
        self.roles.iter().for_each(|role| put_message(&mut out, bytes_tag(2), &role.encode()));
        put_u64(&mut out, varint_tag(3), self.state as u64);
        put_bytes(&mut out, bytes_tag(4), self.missing.as_bytes());
        out
    }
}

impl Facts for Auth {
    const FRAME: FrameType = FrameType::Auth;

    fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let (mut auth, mut budget) = (Self::default(), Budget::default());
        let mut fields = Reader::new(payload);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => {
                    let user = User::decode(value.slice()?, &mut budget)?;
                    budget.add(&mut auth.users, user)?;
                }
                2 => {
                    let role = Role::decode(&value.bytes(payload)?, &mut budget)?;
                    budget.add(&mut auth.roles, role)?;
                }
                3 => auth.state = AuthState::decode(&value)?,
                4 => auth.missing = value.string()?,
                _ => {}
            }
        }
        ascends(&auth.users, |user| user.name.clone())?;
        ascends(&auth.roles, |role| role.name.clone())?;
        Ok(auth)
    }
}

impl AuthState {
    fn decode(value: &Value<'_>) -> Result<Self, Malformed> {
        match value.u32()? {
            0 => Ok(Self::Unknown),
            1 => Ok(Self::Off),
            2 => Ok(Self::On),
            _ => Err(Malformed),
        }
    }
}

impl User {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, bytes_tag(1), self.name.as_bytes());
        self.roles.iter().for_each(|role| put_message(&mut out, bytes_tag(2), role.as_bytes()));
        out
    }

    fn decode(message: &[u8], budget: &mut Budget) -> Result<Self, Malformed> {
        let mut user = Self::default();
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => user.name = name(&value)?,
                2 => budget.add(&mut user.roles, name(&value)?)?,
                _ => {}
            }
        }
        if user.name.is_empty() { Err(Malformed) } else { Ok(user) }
    }
}

impl Role {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, bytes_tag(1), self.name.as_bytes());
        let permissions = self.permissions.iter();
        permissions.for_each(|permission| put_message(&mut out, bytes_tag(2), &permission.encode()));
        out
    }

    fn decode(message: &Bytes, budget: &mut Budget) -> Result<Self, Malformed> {
        let mut role = Self::default();
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => role.name = name(&value)?,
                2 => {
                    let permission = RolePermission::decode(&value.bytes(message)?)?;
                    budget.add(&mut role.permissions, permission)?;
                }
                _ => {}
            }
        }
        if role.name.is_empty() { Err(Malformed) } else { Ok(role) }
    }
}

impl RolePermission {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (start, end) = self.range.to_wire();
        let access = if self.read { READ } else { 0 } + if self.write { WRITE } else { 0 };
        put_u64(&mut out, varint_tag(1), access);
        put_bytes(&mut out, bytes_tag(2), &start);
        put_bytes(&mut out, bytes_tag(3), &end);
        out
    }

    fn decode(message: &Bytes) -> Result<Self, Malformed> {
        let (mut access, mut start, mut end) = (0, Bytes::new(), Bytes::new());
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => access = value.u32().map(u64::from)?,
                2 => start = value.bytes(message)?,
                3 => end = value.bytes(message)?,
                _ => {}
            }
            if access > READ + WRITE {
                return Err(Malformed);
            }
        }
        let (read, write) = (access & READ != 0, access & WRITE != 0);
        // Copies, lest a small list keep a large frame in memory.
        let [start, end] = [start, end].map(|key| Bytes::copy_from_slice(&key));
        Ok(Self { read, write, range: KeyRange::from_wire(start, end) })
    }
}
