//! The access matrix as a text table, with its parser and formatter.

/// Method, path and target, and the status for each actor.
///
/// - `anonymous` sends no credential; `person`, `admin` and `platform` (a platform administrator)
///   belong to the first workspace and present a token, as does `other-admin`, the administrator of
///   another workspace;
/// - `no-scope`, `all-scopes` and `outside` are administrators of the first workspace whose token has no
///   scope, every scope of this service, or networks in which the client is not;
/// - `service` is a service account of the first workspace, and `custodian` a person of it who is the
///   custodian of the target `account`;
/// - `expired`, `deleted`, `disabled` and `barred` (by `tokenAccess`) are persons whose token is no
///   longer valid; `-pw` are the same persons with e-mail and password. Every request of
///   `disabled-pw` comes from a new person, because failed logins of one account are throttled.
///
/// The target is the actor's `own` object (for `anonymous` that of a person), that of a
/// `colleague`, of a `platform` administrator, of a service `account` of the actor's workspace or of the
/// `other` workspace, or it is `unknown`. A
/// part of it may follow a colon. On a path without a parameter it is the person that a list is
/// filtered by; `-` stands for no target. `200+` is a list with rows, or a token that is active.
pub const TABLE: &str = "\
method path                                         target              anonymous  person  admin  other-admin  platform  no-scope  all-scopes  outside  service  custodian  expired  deleted  disabled  barred  disabled-pw  barred-pw
GET    /health/live                                 -                   200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
GET    /health/ready                                -                   200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
GET    /.well-known/oauth-authorization-server      -                   200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
GET    /.well-known/api-token-format                -                   200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
GET    /v4/open-api-spec                            -                   401        200     200    200          200       200       200         401      200      200        401      401      401       401     401          200
GET    /v4/apiAccessTokens                          -                   401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200+
GET    /v4/apiAccessTokens                          all-users           401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
GET    /v4/apiAccessTokens                          own                 401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200+
GET    /v4/apiAccessTokens                          colleague           401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
GET    /v4/apiAccessTokens                          other               401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/apiAccessTokens                          unknown             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/apiAccessTokens                          account             401        403     200+   200+         200+      403       200+        401      403      200+       401      401      401       401     401          403
POST   /v4/apiAccessTokens                          -                   401        201     201    201          201       403       201         401      201      201        401      401      401       401     401          403
POST   /v4/apiAccessTokens                          account             401        403     201    201          201       403       201         401      403      201        401      401      401       401     401          403
POST   /v4/apiAccessTokens                          colleague           401        403     403    403          403       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/apiAccessTokens                          -                   401        204     204    204          204       403       204         401      204      204        401      401      401       401     401          204
DELETE /v4/apiAccessTokens                          own                 401        204     204    204          204       403       204         401      204      204        401      401      401       401     401          204
DELETE /v4/apiAccessTokens                          colleague           401        403     204    204          204       403       204         401      403      403        401      401      401       401     401          403
DELETE /v4/apiAccessTokens                          other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
DELETE /v4/apiAccessTokens                          unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
DELETE /v4/apiAccessTokens                          account             401        403     204    204          204       403       204         401      403      204        401      401      401       401     401          403
POST   /v4/apiAccessTokens/delete                   -                   401        200     200    200          200       403       200         401      200      200        401      401      401       401     401          200
POST   /v4/apiAccessTokens/delete                   all-users           401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/apiAccessTokens/delete                   own                 401        200     200    200          200       403       200         401      200      200        401      401      401       401     401          200
POST   /v4/apiAccessTokens/delete                   colleague           401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/apiAccessTokens/delete                   other               401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/apiAccessTokens/delete                   unknown             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/apiAccessTokens/delete                   account             401        403     200    200          200       403       200         401      403      200        401      401      401       401     401          403
GET    /v4/apiAccessTokens/{tokenId}                own                 401        200     200    200          200       403       200         401      200      200        401      401      401       401     401          200
GET    /v4/apiAccessTokens/{tokenId}                colleague           401        404     200    200          200       403       200         401      404      404        401      401      401       401     401          404
GET    /v4/apiAccessTokens/{tokenId}                other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/apiAccessTokens/{tokenId}                unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/apiAccessTokens/{tokenId}                account             401        404     200    200          200       403       200         401      404      200        401      401      401       401     401          404
DELETE /v4/apiAccessTokens/{tokenId}                own                 401        204     204    204          204       403       204         401      204      204        401      401      401       401     401          204
DELETE /v4/apiAccessTokens/{tokenId}                colleague           401        404     204    204          204       403       204         401      404      404        401      401      401       401     401          404
DELETE /v4/apiAccessTokens/{tokenId}                other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
DELETE /v4/apiAccessTokens/{tokenId}                unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
DELETE /v4/apiAccessTokens/{tokenId}                account             401        404     204    204          204       403       204         401      404      204        401      401      401       401     401          404
GET    /v4/events                                   -                   401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200+
GET    /v4/events                                   all-users           401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
GET    /v4/webhooks                                 -                   401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/webhooks                                 -                   401        403     201    201          201       403       201         401      403      403        401      401      401       401     401          403
GET    /v4/webhooks/{id}                            own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/webhooks/{id}                            other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
GET    /v4/webhooks/{id}                            unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
PATCH  /v4/webhooks/{id}                            own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/webhooks/{id}                            other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
PATCH  /v4/webhooks/{id}                            unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
DELETE /v4/webhooks/{id}                            own                 401        403     204    204          204       403       204         401      403      403        401      401      401       401     401          403
DELETE /v4/webhooks/{id}                            other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
DELETE /v4/webhooks/{id}                            unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
POST   /v4/webhooks/{id}/test                       own                 401        403     202    202          202       403       202         401      403      403        401      401      401       401     401          403
POST   /v4/webhooks/{id}/test                       other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
POST   /v4/webhooks/{id}/test                       unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
GET    /v4/webhooks/{id}/deliveries                 own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/webhooks/{id}/deliveries                 other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
GET    /v4/webhooks/{id}/deliveries                 unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
GET    /v4/people/current                           -                   401        200     200    200          200       200       200         401      200      200        401      401      401       401     401          200
GET    /v4/people                                   -                   401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
GET    /v4/people                                   -:service           401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
POST   /v4/people                                   -                   401        403     201    201          201       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people                                   -:service           401        403     201    201          201       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}                              own                 401        200     200    200          200       403       200         401      200      200        401      401      401       401     401          200
GET    /v4/people/{id}                              colleague           401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}                              platform            401        403     200    404          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}                              other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/people/{id}                              unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/people/{id}                              account             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              own                 401        200     200    200          200       403       200         401      403      200        401      401      401       401     401          200
PATCH  /v4/people/{id}                              own:rights          401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              own:password        401        403     403    403          403       403       403         401      403      403        401      401      401       401     401          200
PATCH  /v4/people/{id}                              colleague           401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              colleague:rights    401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              colleague:password  401        403     200    200          200       403       403         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              platform            401        403     403    404          200       403       403         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
PATCH  /v4/people/{id}                              unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
PATCH  /v4/people/{id}                              account             401        403     200    200          200       403       403         401      403      403        401      401      401       401     401          403
PATCH  /v4/people/{id}                              account:custodians  401        403     200    200          200       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}                              own                 401        403     403    403          403       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}                              colleague           401        403     204    204          204       403       204         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}                              platform            401        403     403    404          204       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}                              other               401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}                              unknown             401        403     404    404          404       403       404         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}                              account             401        403     204    204          204       403       204         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/invite                       own                 401        403     403    403          403       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/invite                       colleague           401        403     200    200          200       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/invite                       platform            401        403     403    404          200       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/invite                       other               401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/invite                       unknown             401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/invite                       account             401        403     400    400          400       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}/trust                        own                 401        403     409    409          409       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}/trust                        colleague           401        403     409    409          409       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}/trust                        other               401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}/trust                        unknown             401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/people/{id}/trust                        account             401        403     200    200          200       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/trust                        own                 401        403     409    409          409       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/trust                        colleague           401        403     409    409          409       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/trust                        other               401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/trust                        unknown             401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/people/{id}/trust                        account             401        403     201    201          201       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}/trust/{ruleId}               own                 401        403     409    409          409       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}/trust/{ruleId}               colleague           401        403     409    409          409       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}/trust/{ruleId}               other               401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}/trust/{ruleId}               unknown             401        403     404    404          404       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/people/{id}/trust/{ruleId}               account             401        403     204    204          204       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/current                       -                   401        200     200    200          200       403       200         401      200      200        401      401      401       401     401          200
GET    /v4/workspaces                               -                   401        403     403    403          200+      403       403         401      403      403        401      401      401       401     401          403
POST   /v4/workspaces                               -                   401        403     403    403          201       403       403         401      403      403        401      401      401       401     401          403
PATCH  /v4/workspaces/{id}                          own                 401        403     403    403          200       403       403         401      403      403        401      401      401       401     401          403
PATCH  /v4/workspaces/{id}                          other               401        403     403    403          200       403       403         401      403      403        401      401      401       401     401          403
PATCH  /v4/workspaces/{id}                          unknown             401        403     403    403          404       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/workspaces/{id}                          own                 401        403     403    403          409       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/workspaces/{id}                          other               401        403     403    403          204       403       403         401      403      403        401      401      401       401     401          403
DELETE /v4/workspaces/{id}                          unknown             401        403     403    403          404       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration            own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration            current             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration            other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/workspaces/{id}/configuration            unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
PATCH  /v4/workspaces/{id}/configuration            own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/workspaces/{id}/configuration            current             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
PATCH  /v4/workspaces/{id}/configuration            other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
PATCH  /v4/workspaces/{id}/configuration            unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
POST   /v4/workspaces/{id}/delete-configuration     own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/workspaces/{id}/delete-configuration     current             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
POST   /v4/workspaces/{id}/delete-configuration     other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
POST   /v4/workspaces/{id}/delete-configuration     unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/workspaces/{id}/configuration-schema     own                 401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration-schema     current             401        403     200    200          200       403       200         401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration-schema     other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/workspaces/{id}/configuration-schema     unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/workspaces/{id}/configuration/preview    own                 401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration/preview    current             401        403     200+   200+         200+      403       200+        401      403      403        401      401      401       401     401          403
GET    /v4/workspaces/{id}/configuration/preview    other               401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/workspaces/{id}/configuration/preview    unknown             401        404     404    404          404       403       404         401      404      404        401      401      401       401     401          404
GET    /v4/auth                                     -                   401        200     200    200          200       200       200         401      200      200        401      401      401       401     401          200
GET    /v4/auth/{requirements}                      any                 401        200     200    200          200       200       200         401      200      200        401      401      401       401     401          200
GET    /v4/auth/{requirements}                      own                 401        200     200    200          200       200       200         401      200      200        401      401      401       401     401          200
GET    /v4/auth/{requirements}                      other               401        403     403    403          403       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/auth/{requirements}                      admin               401        403     200    200          200       403       403         401      403      403        401      401      401       401     401          403
GET    /v4/auth/{requirements}                      unknown             401        403     403    403          403       403       403         401      403      403        401      401      401       401     401          403
POST   /v4/auth/batch                               -                   401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200+
POST   /oauth2/introspect                           own                 401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200
POST   /oauth2/introspect                           colleague           401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200+
POST   /oauth2/introspect                           other               401        200     200    200          200+      403       200         401      200      200        401      401      401       401     401          200
POST   /oauth2/introspect                           unknown             401        200     200    200          200       403       200         401      200      200        401      401      401       401     401          200
POST   /oauth2/introspect                           account             401        200+    200+   200+         200+      403       200+        401      200+     200+       401      401      401       401     401          200+
POST   /oauth2/revoke                               own                 200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
POST   /oauth2/revoke                               colleague           200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
POST   /oauth2/revoke                               other               200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
POST   /oauth2/revoke                               unknown             200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
POST   /oauth2/device_authorization                 -                   200        200     200    200          200       200       200         200      200      200        200      200      200       200     200          200
POST   /oauth2/token                                -                   400        400     400    400          400       400       400         400      400      400        400      400      400       400     400          400
POST   /v4/leaks                                    own                 202        202     202    202          202       202       202         202      202      202        202      202      202       202     202          202
POST   /v4/leaks                                    colleague           202        202     202    202          202       202       202         202      202      202        202      202      202       202     202          202
POST   /v4/leaks                                    other               202        202     202    202          202       202       202         202      202      202        202      202      202       202     202          202
POST   /v4/leaks                                    unknown             202        202     202    202          202       202       202         202      202      202        202      202      202       202     202          202
";

/// A row of the table.
#[derive(Debug)]
pub struct Row<'t> {
    pub method: &'t str,
    pub path: &'t str,
    pub target: &'t str,
}

impl Row<'_> {
    /// Returns the owner part of the target.
    pub fn object(&self) -> &str {
        self.target.split(':').next().unwrap()
    }

    /// Returns the part of the target after the colon, or an empty string.
    pub fn aspect(&self) -> &str {
        self.target.split_once(':').map_or("", |(_, aspect)| aspect)
    }

    pub fn is_for(&self, method: &str, path: &str) -> bool {
        (self.method, self.path) == (method, path)
    }
}

/// Parses the table into its actors and rows.
pub fn parse_table() -> (Vec<&'static str>, Vec<Row<'static>>) {
    let mut lines = TABLE.lines();
    let actors = lines.next().unwrap().split_whitespace().skip(3).collect();
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let mut word = || words.next().expect("a method, a path and a target");
        Row { method: word(), path: word(), target: word() }
    };
    (actors, lines.map(row).collect())
}

/// Formats actors and rows as the table above.
pub fn format_table(actors: &[&str], rows: &[(&Row<'_>, Vec<String>)]) -> String {
    let line = |[method, path, target]: [&str; 3], cells: &[&str]| {
        let cells = cells.iter().zip(actors).map(|(cell, actor)| format!("{cell:width$}", width = actor.len()));
        let cells: Vec<String> = cells.collect();
        format!("{method:7}{path:45}{target:20}{}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    let mut text = line(["method", "path", "target"], actors);
    for (row, cells) in rows {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        text.push_str(&line([row.method, row.path, row.target], &cells));
    }
    text
}
