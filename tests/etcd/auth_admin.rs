//! Users, roles, and whether they count.

use std::time::Duration;

use etcd_ark::{
    Access, AddRole, AddUser, AuthStatus, ChangePassword, Client, Credentials, DeleteRole, DeleteUser,
    DisableAuth, EnableAuth, ErrorKind, GetRole, GetUser, GrantPermission, GrantRole, KeyRange, ListRoles,
    ListUsers, Permission, Request, RevokePermission, RevokeRole,
};

use crate::client_of;
use crate::support::{Server, default_version};

async fn as_user(server: &Server, name: &str, password: &str) -> Client {
    let builder = Client::builder([server.endpoint()]).unwrap();
    builder.credentials(Credentials::new(name, password)).connect().await.unwrap()
}

async fn refusal<R: Request<Response: std::fmt::Debug>>(client: &Client, request: R) -> ErrorKind {
    let error = client.send(request).await.unwrap_err();
    assert!(!error.may_have_applied(), "{error}");
    error.kind()
}

#[tokio::test]
async fn users_come_change_and_go() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    client.send(AddUser::new("u", "pw")).await.unwrap();
    client.send(AddUser::without_password("certificate")).await.unwrap();
    assert_eq!(client.send(ListUsers::new()).await.unwrap().users, ["certificate", "u"]);
    assert_eq!(refusal(&client, AddUser::new("u", "pw")).await, ErrorKind::AlreadyExists);
    assert_eq!(refusal(&client, AddUser::new("", "pw")).await, ErrorKind::Auth);

    for role in ["r1", "r2"] {
        client.send(AddRole::new(role)).await.unwrap();
        client.send(GrantRole::new("u", role)).await.unwrap();
    }
    assert_eq!(client.send(GetUser::new("u")).await.unwrap().roles, ["r1", "r2"]);
    client.send(RevokeRole::new("u", "r1")).await.unwrap();
    assert_eq!(client.send(GetUser::new("u")).await.unwrap().roles, ["r2"]);
    assert_eq!(refusal(&client, RevokeRole::new("u", "r1")).await, ErrorKind::NotFound);
    assert_eq!(refusal(&client, GrantRole::new("u", "none")).await, ErrorKind::NotFound);

    client.send(ChangePassword::new("u", "other")).await.unwrap();
    assert_eq!(refusal(&client, ChangePassword::new("none", "pw")).await, ErrorKind::NotFound);
    client.send(DeleteUser::new("u")).await.unwrap();
    assert_eq!(refusal(&client, GetUser::new("u")).await, ErrorKind::NotFound);
    assert_eq!(refusal(&client, DeleteUser::new("u")).await, ErrorKind::NotFound);
}

#[tokio::test]
async fn roles_permit_what_they_were_granted() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    client.send(AddRole::new("r")).await.unwrap();
    assert_eq!(refusal(&client, AddRole::new("r")).await, ErrorKind::AlreadyExists);
    let permissions = [
        Permission::new(Access::Read, "key"),
        Permission::new(Access::Write, KeyRange::prefix("prefix/")),
        Permission::new(Access::ReadWrite, KeyRange::between("p", "q")),
        Permission::new(Access::Read, KeyRange::from_key("z")),
    ];
    for permission in &permissions {
        client.send(GrantPermission::new("r", permission.clone())).await.unwrap();
    }
    let mut granted = client.send(GetRole::new("r")).await.unwrap().permissions;
    granted.sort_by_key(|permission| permissions.iter().position(|known| known == permission));
    assert_eq!(granted, permissions);

    let reading = Permission::new(Access::Read, KeyRange::prefix("prefix/"));
    client.send(GrantPermission::new("r", reading.clone())).await.unwrap();
    let replaced = client.send(GetRole::new("r")).await.unwrap().permissions;
    assert!(replaced.len() == 4 && replaced.contains(&reading), "{replaced:?}");
    client.send(RevokePermission::new("r", KeyRange::prefix("prefix/"))).await.unwrap();
    assert_eq!(client.send(GetRole::new("r")).await.unwrap().permissions.len(), 3);
    assert_eq!(refusal(&client, RevokePermission::new("r", "none")).await, ErrorKind::NotFound);
    let impossible = Permission::new(Access::Read, KeyRange::between("b", "a"));
    assert_eq!(refusal(&client, GrantPermission::new("r", impossible)).await, ErrorKind::Config);

    assert_eq!(client.send(ListRoles::new()).await.unwrap().roles, ["r"]);
    client.send(DeleteRole::new("r")).await.unwrap();
    assert_eq!(refusal(&client, GetRole::new("r")).await, ErrorKind::NotFound);
    assert_eq!(refusal(&client, DeleteRole::new("r")).await, ErrorKind::NotFound);
}

#[tokio::test]
async fn ranges_of_permissions_are_the_clusters_in_a_namespace_too() {
    let server = Server::start().await;
    let client = client_of(&server).await.namespace("app/");
    client.send(AddRole::new("r")).await.unwrap();
    let permission = Permission::new(Access::Read, KeyRange::prefix("app/"));
    client.send(GrantPermission::new("r", permission.clone())).await.unwrap();
    assert!(server.etcdctl(&["role", "get", "r"]).await.contains("[app/, app0)"));
    assert_eq!(client.send(GetRole::new("r")).await.unwrap().permissions, [permission]);
}

async fn assert_status(client: &Client, enabled: bool) {
    match client.send(AuthStatus::new()).await {
        Ok(status) => assert!(status.enabled == enabled && status.auth_revision > 1, "{status:?}"),
        Err(error) if default_version().starts_with("3.4.") => {
            assert_eq!(error.kind(), ErrorKind::ServerTooOld, "{error}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn authentication_is_turned_on_and_off() {
    let server = Server::start().await;
    let anyone = client_of(&server).await;
    assert_eq!(refusal(&anyone, EnableAuth::new()).await, ErrorKind::Rejected, "there is no root");
    anyone.send(AddUser::new("root", "pw")).await.unwrap();
    anyone.send(AddRole::new("root")).await.unwrap();
    anyone.send(GrantRole::new("root", "root")).await.unwrap();
    anyone.send(AddUser::new("u", "pw")).await.unwrap();
    anyone.send(AddRole::new("r")).await.unwrap();
    let permission = Permission::new(Access::ReadWrite, KeyRange::prefix("own/"));
    anyone.send(GrantPermission::new("r", permission)).await.unwrap();
    anyone.send(GrantRole::new("u", "r")).await.unwrap();
    anyone.send(EnableAuth::new()).await.unwrap();

    assert_eq!(anyone.put("own/k", "v").await.unwrap_err().kind(), ErrorKind::Auth);
    let user = as_user(&server, "u", "pw").await;
    user.put("own/k", "v").await.unwrap();
    assert_eq!(user.put("k", "v").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(refusal(&user, AddUser::new("v", "pw")).await, ErrorKind::PermissionDenied);
    assert_eq!(user.send(GetUser::new("u")).await.unwrap().roles, ["r"]);

    let root = as_user(&server, "root", "pw").await;
    assert_status(&root, true).await;
    assert_eq!(refusal(&root, DeleteUser::new("root")).await, ErrorKind::Rejected);
    root.send(DisableAuth::new()).await.unwrap();
    anyone.put("k", "v").await.unwrap();
    assert_status(&anyone, false).await;
}

#[test]
fn passwords_are_not_shown() {
    let shown = format!("{:?} {:?}", AddUser::new("u", "geheim"), ChangePassword::new("u", "geheim"));
    assert!(shown.contains("\"u\"") && !shown.contains("geheim"), "{shown}");
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let server = Server::start().await;
    server.enable_auth("pw").await;
    let root = as_user(&server, "root", "pw").await;
    root.send_within(ChangePassword::new("root", "new"), Duration::from_secs(10)).await.unwrap();
    let builder = Client::builder([server.endpoint()]).unwrap();
    let old = builder.credentials(Credentials::new("root", "pw")).connect().await.unwrap_err();
    assert_eq!(old.kind(), ErrorKind::Auth);
    as_user(&server, "root", "new").await.put("k", "v").await.unwrap();
}
